//! The health of analytics itself on `/metrics`: fates, watermarks, lags, spool, checkpoints.
//!
//! Upstream: [`Health`], as of the newest tick. Downstream: [`Page`].

use super::page::Page;
use crate::fate::SourceClass;
use crate::follow::Health;

pub(super) fn health(page: &mut Page, health: &Health) {
    if let Some(watermark_ms) = health.watermark_ms {
        page.gauge("arterial_analytics_watermark_timestamp_seconds", &[], watermark_ms as f64 / 1_000.0);
    }
    let positions = health.engine.received[SourceClass::Position as usize];
    page.counter("arterial_analytics_positions_total", &[], positions as f64);
    for (at, class) in SourceClass::ALL.into_iter().enumerate() {
        let label = ("class", class.name());
        for (fate, n) in health.fates[at].named() {
            page.counter("arterial_analytics_events_total", &[label, ("fate", fate)], n as f64);
        }
        page.counter("arterial_analytics_events_received_total", &[label], health.engine.received[at] as f64);
        page.counter("arterial_analytics_behind_total", &[label], health.engine.behind[at] as f64);
        if let Some(watermark_ms) = health.watermarks_ms[at] {
            page.gauge("arterial_analytics_class_watermark_timestamp_seconds", &[label], watermark_ms as f64 / 1_000.0);
            let behind_s = (health.told_ms - watermark_ms) as f64 / 1_000.0;
            page.gauge("arterial_analytics_watermark_delay_seconds", &[label], behind_s);
        }
        let lags = &health.lags.of(class);
        for (stage, lag) in lags.stages() {
            page.histogram("arterial_analytics_stage_lag_seconds", &[label, ("stage", stage)], lag);
        }
        page.histogram("arterial_analytics_end_to_end_seconds", &[label], &lags.end_to_end);
    }
    page.counter("arterial_analytics_corrections_total", &[], health.corrections as f64);
    page.counter("arterial_analytics_beyond_correction_total", &[], health.engine.beyond_correction as f64);
    fixes(page, health);
    page.gauge("arterial_analytics_caught_up", &[], f64::from(u8::from(health.caught_up)));
    page.gauge("arterial_analytics_next_block", &[], health.next_block as f64);
    page.gauge("arterial_analytics_spool_unread_bytes", &[], health.unread_bytes as f64);
    if health.told_ms > 0 {
        page.gauge("arterial_analytics_published_timestamp_seconds", &[], health.told_ms as f64 / 1_000.0);
    }
    page.gauge("arterial_analytics_tick_seconds", &[], health.tick.as_secs_f64());
    page.gauge("arterial_analytics_vehicles", &[], health.vehicles as f64);
    checkpoint(page, health);
}

fn fixes(page: &mut Page, health: &Health) {
    let m = health.matching;
    let fates = [
        ("placed", m.placed),
        ("off_network", m.off_network),
        ("parked", m.parked),
        ("in_junction", m.in_junction),
        ("too_late", m.too_late),
        ("same_moment", m.same_moment),
        ("step_counted", m.steps),
        ("step_gap", m.gaps),
        ("step_jump", m.jumps),
        ("step_break", m.breaks),
        ("step_bridged", m.bridged),
        ("step_off_network", m.off_steps),
        ("step_parked", m.parked_steps),
        ("redone", m.redone),
    ];
    for (outcome, n) in fates {
        page.gauge("arterial_analytics_fixes", &[("outcome", outcome)], n as f64);
    }
}

fn checkpoint(page: &mut Page, health: &Health) {
    let Some(checkpoint) = &health.checkpoint else { return };
    if let Some(saved_ms) = checkpoint.saved_ms {
        let age_ms = (health.told_ms - saved_ms).max(0);
        page.gauge("arterial_analytics_checkpoint_age_seconds", &[], age_ms as f64 / 1_000.0);
    }
    page.gauge("arterial_analytics_checkpoint_bytes", &[], checkpoint.bytes as f64);
    page.gauge("arterial_analytics_checkpoint_write_seconds", &[], checkpoint.took_ms as f64 / 1_000.0);
    page.counter("arterial_analytics_checkpoint_failures_total", &[], checkpoint.failures as f64);
}
