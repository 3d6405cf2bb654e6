//! A process that is the only one: there is nobody to tell.

use super::{Bus, Hint, Listener, Topic};

/// The embedded default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Bus for Alone {
    fn hear(&self, _: Listener) {}

    fn follow(&self, _: Topic) {}

    fn leave(&self, _: Topic) {}

    fn tell(&self, _: Hint) {}
}
