//! A place in the queue as the text that Redis orders by.

use uuid::Uuid;

use crate::{domain::ids::TaskId, repo::queue::Position};

/// Characters of a member.
const CHARS: usize = 60;

/// The member of a position: fixed-width lower-case hexadecimal digits that sort as positions do, whatever the locale.
/// Priority (8, the highest first), queue number (16), task (32), number of the slot (4).
pub(super) fn write(position: &Position) -> String {
    let Position { priority, queue_number, task, number } = position;
    let priority = i64::from(i32::MAX) - i64::from(*priority);
    let queue_number = queue_number.cast_unsigned() ^ (1 << 63);
    format!("{priority:08x}{queue_number:016x}{:032x}{number:04x}", task.0.as_u128())
}

/// The position of a member; none when it is none of ours.
pub(super) fn read(member: &str) -> Option<Position> {
    if member.len() != CHARS || !member.is_ascii() {
        return None;
    }
    let part = |from: usize, to: usize| u128::from_str_radix(&member[from..to], 16).ok();
    let priority = i64::from(i32::MAX) - i64::try_from(part(0, 8)?).ok()?;
    Some(Position {
        priority: i32::try_from(priority).ok()?,
        queue_number: (u64::try_from(part(8, 24)?).ok()? ^ (1 << 63)).cast_signed(),
        task: TaskId(Uuid::from_u128(part(24, 56)?)),
        number: i32::try_from(part(56, CHARS)?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions() -> impl Strategy<Value = Position> {
        // Few values of each, so that ties are met, and the ends.
        let priority = prop_oneof![Just(i32::MIN), -1..=1, Just(i32::MAX)];
        let queue_number = prop_oneof![Just(i64::MIN), -1_i64..=1, any::<i64>(), Just(i64::MAX)];
        let task = prop_oneof![Just(0_u128), Just(1), any::<u128>()];
        (priority, queue_number, task, 1..=10).prop_map(|(priority, queue_number, task, number)| Position {
            priority,
            queue_number,
            task: TaskId(Uuid::from_u128(task)),
            number,
        })
    }

    proptest! {
        #[test]
        fn members_sort_as_the_queue_does((a, b) in (positions(), positions())) {
            prop_assert_eq!(write(&a).cmp(&write(&b)), a.cmp(&b));
        }

        #[test]
        fn a_member_says_where_the_slot_waits(position in positions()) {
            prop_assert_eq!(read(&write(&position)), Some(position));
        }
    }

    #[test]
    fn what_others_put_there_is_no_member() {
        for text in ["", "x", &"g".repeat(CHARS), &"0".repeat(CHARS - 1), &"ü".repeat(CHARS / 2)] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
