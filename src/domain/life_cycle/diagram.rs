//! The diagrams of docs/labeling.md are what the two functions say: no arrow more, no arrow less, each with its reasons.

use std::collections::{BTreeMap, BTreeSet};

use strum::VariantArray;

use super::*;

const DOCUMENT: &str = include_str!("../../../docs/labeling.md");

/// Arrows with what is written at them.
type Arrows = BTreeMap<(String, String), BTreeSet<&'static str>>;

fn word(event: Event) -> &'static str {
    match event {
        Event::Leased(_) => "claimed",
        Event::Freed(_) => "given back",
        Event::Submitted(_) => "handed in",
        Event::Skipped(_) => "skipped",
        Event::Withdrawn(_) => "withdrawn",
        Event::ReviewClaimed => "review begun",
        Event::ReviewEnded => "review given back",
        Event::Judged(_, ReviewVerdict::Accept) => "accepted",
        Event::Judged(_, ReviewVerdict::Reject) => "rejected",
        Event::Quarantined => "ran out too often",
        Event::Reopened => "reopened",
        Event::Archived => "archived",
        Event::Unarchived => "unarchived",
    }
}

fn slot_word(event: SlotEvent) -> &'static str {
    match event {
        SlotEvent::Leased => "claimed",
        SlotEvent::Freed => "given back",
        SlotEvent::Submitted => "handed in",
        SlotEvent::Skipped => "skipped",
        SlotEvent::Withdrawn => "withdrawn",
        SlotEvent::Accepted => "accepted",
        SlotEvent::Rejected => "rejected",
        SlotEvent::SentBack => "sent back",
    }
}

const SLOT_EVENTS: [SlotEvent; 8] = [
    SlotEvent::Leased,
    SlotEvent::Freed,
    SlotEvent::Submitted,
    SlotEvent::Skipped,
    SlotEvent::Withdrawn,
    SlotEvent::Accepted,
    SlotEvent::Rejected,
    SlotEvent::SentBack,
];

/// All that can happen to a task with this many slots.
fn events(slots: usize) -> Vec<Event> {
    let mut events = vec![
        Event::ReviewClaimed,
        Event::ReviewEnded,
        Event::Quarantined,
        Event::Reopened,
        Event::Archived,
        Event::Unarchived,
    ];
    for slot in 0..slots {
        events.extend(
            [Event::Leased, Event::Freed, Event::Submitted, Event::Skipped, Event::Withdrawn].map(|of| of(slot)),
        );
        events.extend(ReviewVerdict::VARIANTS.iter().map(|verdict| Event::Judged(slot, *verdict)));
    }
    events
}

/// Every way from one state of a task to another one, found by letting everything happen to new tasks of up to three slots.
fn task_arrows() -> Arrows {
    let mut arrows = Arrows::new();
    for (slots, review) in (1..=3).flat_map(|slots| ReviewPolicy::VARIANTS.iter().map(move |review| (slots, *review))) {
        let new = Life { state: TaskState::Queued, round: 1, quarantined: false, slots: vec![SlotState::Free; slots] };
        let mut seen = vec![new.clone()];
        let mut open = vec![new];
        while let Some(life) = open.pop() {
            for event in events(slots) {
                let Ok(mut next) = super::next(&life, event, review) else { continue };
                if next.state != life.state {
                    let arrow = (life.state.to_string(), next.state.to_string());
                    arrows.entry(arrow).or_default().insert(word(event));
                }
                // A third round is like the second.
                next.round = next.round.min(2);
                if !seen.contains(&next) {
                    seen.push(next.clone());
                    open.push(next);
                }
            }
        }
    }
    arrows
}

fn slot_arrows() -> Arrows {
    let mut arrows = Arrows::new();
    for from in SlotState::VARIANTS {
        for event in SLOT_EVENTS {
            if let Ok(to) = next_slot(*from, event) {
                arrows.entry((from.to_string(), to.to_string())).or_default().insert(slot_word(event));
            }
        }
    }
    arrows
}

/// The arrows drawn in a section, each once.
fn drawn(section: &str) -> Arrows {
    let (_, text) = DOCUMENT.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let text = text.split("\n## ").next().unwrap_or_default();
    let mut arrows = Arrows::new();
    for diagram in text.split("```mermaid\n").skip(1) {
        for line in diagram.split("```").next().unwrap_or_default().lines() {
            let Some((from, rest)) = line.trim().split_once(" --> ") else { continue };
            if from == "[*]" {
                continue;
            }
            let (to, reasons) = rest.split_once(": ").unwrap_or_else(|| panic!("{line}: why?"));
            let drawn = arrows.insert((from.to_owned(), to.to_owned()), reasons.split(", ").collect());
            assert_eq!(drawn, None, "{line} is drawn twice");
        }
    }
    arrows
}

#[test]
fn every_way_of_a_task_is_drawn_and_no_other() {
    assert_eq!(drawn("Tasks"), task_arrows());
}

#[test]
fn every_way_of_a_slot_is_drawn_and_no_other() {
    assert_eq!(drawn("Slots"), slot_arrows());
}
