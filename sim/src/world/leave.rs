//! Leave to go on, once it has been given: renewed every second, taken back, and forgotten by who has crossed.
//!
//! Leave may reach over several lines: who is let onto a short lane is listed before that lane and, with leave for its
//! end, before the next one as well ([`Inbound::further`]). What is taken back at one line is taken back at all beyond.
//! Upstream: junction, which gives leave. Downstream: junction and motion.

use super::junction::{Scene, must_stop};
use super::part::{Context, Inbound, Part};
use crate::cars::LETS_IN;
use crate::map::Link;

/// Those who stand keep others away from what they claim only while they are slower than this, mm/s.
const MOVING_MM_S: i32 = 500;

impl Part {
    /// Takes leave back where the signal says so, and notes where those who keep it are.
    pub(super) fn renew(&mut self, at: &Context<'_>, lane: u32, scenes: &mut [Scene]) {
        let l = self.local(at.map, lane);
        let info = &at.map.lanes[lane as usize];
        let base = info.base as usize;
        for index in 0..usize::from(self.lanes[l].granted) {
            let (pos, speed, who) =
                (self.cars.pos_mm[base + index], self.cars.speed_mm_s[base + index], self.cars.who[base + index]);
            let link = &at.map.links[who.link as usize];
            let driver = &at.drivers[usize::from(who.kind)];
            let must_stop = must_stop(at, link) || who.flags & LETS_IN != 0;
            if must_stop && pos <= info.length_mm && driver.brake_mm(speed) <= info.length_mm - pos {
                for other in index..usize::from(self.lanes[l].granted) {
                    let who = self.cars.who[base + other];
                    self.revoke(at, &at.map.links[who.link as usize], who.id);
                }
                self.lanes[l].granted = index as u16;
                self.revoke_early(at, lane, 0);
                return;
            }
            self.note(at, link, who.id, (pos, speed), scenes);
        }
    }

    /// Notes where somebody is who has leave, for every line for which he has it.
    fn note<'a>(
        &mut self,
        at: &Context<'a>,
        mut link: &'a Link,
        id: u32,
        (mut pos, speed): (i32, i32),
        scenes: &mut [Scene],
    ) {
        loop {
            let from = &at.map.lanes[link.from as usize];
            let scene = &mut scenes[usize::from(from.node)];
            scene.claims |= link.bit;
            if speed > MOVING_MM_S {
                scene.moving |= link.bit;
            }
            pos -= from.length_mm + link.length_mm;
            let entry = self.entry(at, link);
            let inbound = self.entries[entry].iter_mut().find(|i| i.id == id).expect("who was let on is listed");
            (inbound.distance_mm, inbound.speed_mm_s) = (-pos, speed);
            if !inbound.further {
                return;
            }
            link = &at.map.links[inbound.next as usize];
        }
    }

    /// As [`Part::renew`] for those who are still on the way to a lane.
    pub(super) fn renew_early(&mut self, at: &Context<'_>, lane: u32) {
        if self.lanes[self.local(at.map, lane)].early == 0 {
            return;
        }
        let info = &at.map.lanes[lane as usize];
        let entry = self.entry_of(at, info);
        let first = self.entries[entry].iter().filter(|inbound| inbound.further).position(|inbound| {
            let driver = &at.drivers[usize::from(inbound.kind)];
            must_stop(at, &at.map.links[inbound.next as usize])
                && driver.brake_mm(inbound.speed_mm_s) <= info.length_mm + inbound.distance_mm
        });
        if let Some(first) = first {
            self.revoke_early(at, lane, first);
        }
    }

    /// Takes one off the list of those who have been let onto a lane; whether he has leave for its end as well.
    pub(super) fn forget(&mut self, at: &Context<'_>, link: &Link, id: u32) -> bool {
        let entry = self.entry(at, link);
        let Some(place) = self.entries[entry].iter().position(|inbound| inbound.id == id) else { return false };
        self.entries[entry].remove(place).further
    }

    /// Takes leave back, and that for all lines beyond.
    fn revoke(&mut self, at: &Context<'_>, link: &Link, id: u32) {
        let entry = self.entry(at, link);
        let Some(place) = self.entries[entry].iter().position(|inbound| inbound.id == id) else { return };
        let inbound = self.entries[entry].remove(place);
        if inbound.further {
            let l = self.local(at.map, link.to);
            self.lanes[l].early -= 1;
            self.revoke(at, &at.map.links[inbound.next as usize], id);
        }
    }

    /// Takes leave for the end of a lane back from those on the way to it, but for the first `keep` of them.
    fn revoke_early(&mut self, at: &Context<'_>, lane: u32, keep: usize) {
        let l = self.local(at.map, lane);
        if usize::from(self.lanes[l].early) <= keep {
            return;
        }
        let entry = self.entry_of(at, &at.map.lanes[lane as usize]);
        let mut seen = 0;
        for place in 0..self.entries[entry].len() {
            let Inbound { id, next, further, .. } = self.entries[entry][place];
            if further {
                seen += 1;
                if seen > keep {
                    self.entries[entry][place].further = false;
                    self.revoke(at, &at.map.links[next as usize], id);
                }
            }
        }
        self.lanes[l].early = keep as u16;
    }
}
