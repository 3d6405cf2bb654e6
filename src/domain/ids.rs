//! Typed ids: a UUIDv7 in the database, a TypeID (`task_01h4…`) everywhere else, so that an id says what it names and a
//! wrong kind of id is refused before any query.

use std::{fmt, str::FromStr};

use type_safe_id::{DynamicType, StaticType, TypeSafeId};
use uuid::Uuid;

/// The text is not an id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an id such as {wanted}_01h455vb4pex5vsknk084sn02q")]
pub struct IdError {
    wanted: &'static str,
}

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(pub Uuid);

            impl $name {
                /// The part before the underscore.
                pub const PREFIX: &'static str = $prefix;

                /// Makes an id that sorts after those made before it.
                #[must_use]
                pub fn generate() -> Self { Self(Uuid::now_v7()) }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    #[derive(Default)]
                    struct Prefix;
                    impl StaticType for Prefix { const TYPE: &'static str = $prefix; }
                    TypeSafeId::<Prefix>::from_uuid(self.0).fmt(f)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
            }

            impl FromStr for $name {
                type Err = IdError;

                fn from_str(text: &str) -> Result<Self, IdError> {
                    match AnyId::split(text) {
                        Some((prefix, uuid)) if prefix == $prefix => Ok(Self(uuid)),
                        _ => Err(IdError { wanted: $prefix }),
                    }
                }
            }
        )+

        /// An id of any kind, as `node(id:)` takes it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AnyId { $($(#[$meta])* $name($name)),+ }

        impl AnyId {
            /// Every prefix in use.
            pub const PREFIXES: &'static [&'static str] = &[$($prefix),+];
        }

        impl FromStr for AnyId {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match Self::split(text) {
                    $(Some((prefix, uuid)) if prefix == $prefix => Ok(Self::$name($name(uuid))),)+
                    _ => Err(IdError { wanted: "task" }),
                }
            }
        }
    };
}

ids! {
    /// A user.
    UserId = "user";
    /// An access token.
    AccessTokenId = "tok";
    /// A project.
    ProjectId = "proj";
    /// A template version.
    TemplateId = "tmpl";
    /// An asset.
    AssetId = "asset";
    /// A task.
    TaskId = "task";
    /// One person's turn on one slot.
    AssignmentId = "asgn";
    /// A labeling session.
    SessionId = "sess";
    /// An annotation; clients make these themselves.
    AnnotationId = "ann";
    /// A snapshot.
    SnapshotId = "snap";
    /// An edit kept beside the current state until a person decides.
    ConflictId = "conf";
    /// A verdict.
    ReviewId = "rev";
    /// An import or an export.
    JobId = "job";
}

impl AnyId {
    fn split(text: &str) -> Option<(String, Uuid)> {
        let id: TypeSafeId<DynamicType> = text.parse().ok()?;
        Some((id.type_prefix().to_owned(), id.uuid()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_itself_and_as_nothing_else() {
        let id = TaskId::generate();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().parse(), Ok(AnyId::TaskId(id)));
        assert!(id.to_string().parse::<ProjectId>().is_err());
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in
            ["", "task", "task_", "task_zzzzzzzzzzzzzzzzzzzzzzzzzz", "TASK_01h455vb4pex5vsknk084sn02q", "task_01h455\0"]
        {
            assert!(text.parse::<TaskId>().is_err(), "{text:?}");
        }
        assert!("cat_01h455vb4pex5vsknk084sn02q".parse::<AnyId>().is_err());
    }
}
