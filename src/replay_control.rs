//! The reins of a running replay over HTTP: `arterial replay --control 127.0.0.1:8081`.
//!
//! Upstream: the dashboard's server, which hands on what its page asks for, or anybody on this machine. Downstream:
//! [`sim::replay::Control`]. On loopback only: there is no password, and who may reach it may stop the replay.
//!
//! | request | does |
//! |---|---|
//! | `GET /` | tells where the replay stands |
//! | `POST /pause`, `POST /resume` | stops before the next record; goes on |
//! | `POST /step?seconds=60` | the next minute of the recording at full speed, then pause |
//! | `POST /seek?to=MS` | everything before that time at full speed, then as it was; ahead only |
//! | `POST /speed?factor=60` | a factor of the recording's own time, or `max` |

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use events::TimeMs;
use serde_json::{Value, json};
use sim::Speed;
use sim::replay::{Control, ReplayProgress};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Longest step: a day.
const STEP_S_MAX: u32 = 86_400;

/// What is held and what is told.
#[derive(Clone)]
pub(crate) struct Reins {
    pub(crate) control: Arc<Control>,
    pub(crate) progress: Arc<ReplayProgress>,
    pub(crate) file: String,
}

/// Serves until asked to stop.
pub(crate) async fn serve(listener: TcpListener, reins: Reins, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new().route("/", get(state)).route("/{wish}", post(wish)).with_state(reins);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Binds an address of this machine, and no other.
pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() {
        bail!("--control {address} would be reachable from other machines, and there is no password on it");
    }
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}; choose another --control"))
}

async fn state(State(reins): State<Reins>) -> Json<Value> {
    Json(told(&reins))
}

fn told(reins: &Reins) -> Value {
    let (plan, at) = (reins.control.plan(), reins.progress.last_time());
    let some = |time: TimeMs| (time.0 != 0).then_some(time.0);
    json!({
        "file": reins.file,
        "paused": plan.paused,
        "speed": match plan.speed { Speed::RealTime(factor) => Some(factor), Speed::Max => None },
        "first_ms": some(reins.progress.first_time()),
        "at_ms": some(at),
        "end_ms": some(reins.progress.end_time()),
        "ahead_to_ms": plan.ahead_to.map(|to| to.0),
        "published": reins.progress.published(),
        "unreadable": reins.progress.unreadable(),
    })
}

/// The parameters of a request.
type Asked = BTreeMap<String, String>;

async fn wish(State(reins): State<Reins>, Path(wish): Path<String>, Query(asked): Query<Asked>) -> Response {
    match grant(&reins, &wish, &asked) {
        Ok(()) => Json(told(&reins)).into_response(),
        Err((status, code, message)) => {
            (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
        }
    }
}

type Refusal = (StatusCode, &'static str, String);

fn grant(reins: &Reins, wish: &str, asked: &Asked) -> Result<(), Refusal> {
    let at = reins.progress.last_time();
    let missing = |what: &str| (StatusCode::BAD_REQUEST, "missing_parameter", format!("give `{what}`"));
    let refused = |e: sim::replay::ControlError| (StatusCode::CONFLICT, "not_possible", e.to_string());
    match wish {
        "pause" => reins.control.pause(),
        "resume" => reins.control.resume(),
        "step" => {
            let seconds = asked.get("seconds").and_then(|text| text.parse::<u32>().ok());
            let seconds = seconds.filter(|s| (1..=STEP_S_MAX).contains(s)).ok_or_else(|| missing("seconds"))?;
            reins.control.step(at, seconds * 1_000).map_err(refused)?;
        }
        "seek" => {
            let to = asked.get("to").and_then(|text| text.parse().ok()).ok_or_else(|| missing("to"))?;
            reins.control.seek(at, TimeMs(to)).map_err(refused)?;
        }
        "speed" => {
            let factor = asked.get("factor").ok_or_else(|| missing("factor"))?;
            let speed: Speed =
                factor.parse().map_err(|e: sim::SpeedError| (StatusCode::BAD_REQUEST, "not_a_speed", e.to_string()))?;
            reins.control.set_speed(speed);
        }
        unknown => return Err((StatusCode::NOT_FOUND, "not_found", format!("a replay cannot `{unknown}`"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_granted_or_refused_with_a_word() {
        let control = Arc::new(Control::new(Speed::RealTime(60.0), false));
        let reins = Reins { control, progress: Arc::new(ReplayProgress::default()), file: "x.csv".into() };
        let asked = |name: &str, value: &str| Asked::from([(name.to_owned(), value.to_owned())]);
        grant(&reins, "pause", &Asked::new()).unwrap();
        assert_eq!((told(&reins)["paused"].clone(), told(&reins)["at_ms"].clone()), (json!(true), Value::Null));
        grant(&reins, "speed", &asked("factor", "max")).unwrap();
        assert_eq!(told(&reins)["speed"], Value::Null);
        grant(&reins, "seek", &asked("to", "5000")).unwrap();
        assert_eq!(told(&reins)["ahead_to_ms"], json!(5_000));
        for (wish, asked, code) in [
            ("step", asked("seconds", "1"), "not_possible"),
            ("step", asked("seconds", "0"), "missing_parameter"),
            ("seek", asked("to", "0"), "not_possible"),
            ("seek", Asked::new(), "missing_parameter"),
            ("speed", asked("factor", "fast"), "not_a_speed"),
            ("fly", Asked::new(), "not_found"),
        ] {
            assert_eq!(grant(&reins, wish, &asked).unwrap_err().1, code, "{wish}");
        }
    }
}
