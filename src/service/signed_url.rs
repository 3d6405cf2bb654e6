//! Signed URLs: whoever has one may read or write that one file until it expires, without signing in. So a browser can
//! show a picture, and an uploader can send bytes past the API.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::ids::{AssetId, JobId};

/// What a URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Reading the bytes.
    Read,
    /// Sending the bytes, while the asset is PENDING.
    Write,
    /// Reading what an export made.
    Result,
    /// Reading what was wrong with the file of an import.
    Errors,
}

impl Permit {
    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Result => "result",
            Self::Errors => "errors",
        }
    }
}

/// Whose bytes a URL is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileId {
    /// An asset's.
    Asset(AssetId),
    /// A file that a job made.
    Job(JobId),
}

impl std::fmt::Display for FileId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Asset(id) => id.fmt(f),
            Self::Job(id) => id.fmt(f),
        }
    }
}

/// How long an upload URL works.
pub(crate) const WRITE_SECONDS: i64 = 60 * 60;
/// How long a read URL works at least; it ends on a whole multiple, so that a browser's cache finds the same URL again.
const READ_SECONDS: i64 = 60 * 60;

/// Makes and checks signed URLs with the installation's key.
pub(crate) struct Signer {
    mac: Hmac<Sha256>,
    files_url: String,
}

impl Signer {
    pub(crate) fn new(key: &[u8], public_url: &str) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mac = Hmac::new_from_slice(key).expect("any key length");
        Self { mac, files_url: format!("{public_url}/files") }
    }

    /// A URL that allows `permit` on `file`, and when it ends.
    pub(crate) fn sign(&self, permit: Permit, file: FileId, now: DateTime<Utc>) -> (String, DateTime<Utc>) {
        let now = now.timestamp();
        let expires = match permit {
            Permit::Write => now + WRITE_SECONDS,
            Permit::Read | Permit::Result | Permit::Errors => (now / READ_SECONDS + 2) * READ_SECONDS,
        };
        let signature: String =
            self.signature(permit, file, expires).iter().map(|byte| format!("{byte:02x}")).collect();
        let url =
            format!("{}/{file}?permit={}&expires={expires}&signature={signature}", self.files_url, permit.as_str());
        (url, DateTime::from_timestamp(expires, 0).unwrap_or_default())
    }

    /// Whether `signature` (hexadecimal) allows `permit` on `file` now.
    pub(crate) fn allows(
        &self,
        permit: Permit,
        file: FileId,
        expires: i64,
        signature: &str,
        now: DateTime<Utc>,
    ) -> bool {
        let bytes: Option<Vec<u8>> =
            (0..signature.len()).step_by(2).map(|at| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok()).collect();
        let fits = bytes.is_some_and(|bytes| self.message(permit, file, expires).verify_slice(&bytes).is_ok());
        fits && now.timestamp() < expires
    }

    fn signature(&self, permit: Permit, file: FileId, expires: i64) -> Vec<u8> {
        self.message(permit, file, expires).finalize().into_bytes().to_vec()
    }

    fn message(&self, permit: Permit, file: FileId, expires: i64) -> Hmac<Sha256> {
        self.mac.clone().chain_update(format!("{}\n{file}\n{expires}", permit.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_signature_holds_for_its_asset_permit_and_time_only() {
        let signer = Signer::new(&[7; 32], "http://host");
        let [asset, other] = [AssetId::generate(), AssetId::generate()].map(FileId::Asset);
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let (url, ends) = signer.sign(Permit::Read, asset, now);
        let signature = url.rsplit_once("signature=").unwrap().1;
        let expires = ends.timestamp();
        let late = ends + TimeDelta::seconds(1);
        for (case, permit, asset, expires, signature, now, want) in [
            ("as signed", Permit::Read, asset, expires, signature, now, true),
            ("another asset", Permit::Read, other, expires, signature, now, false),
            ("another permit", Permit::Write, asset, expires, signature, now, false),
            ("another end", Permit::Read, asset, expires + 1, signature, now, false),
            ("after its end", Permit::Read, asset, expires, signature, late, false),
            ("no signature", Permit::Read, asset, expires, "", now, false),
            ("not hexadecimal", Permit::Read, asset, expires, "zz", now, false),
            ("not ASCII", Permit::Read, asset, expires, "é", now, false),
            ("another key's", Permit::Read, asset, expires, &"0".repeat(64), now, false),
        ] {
            assert_eq!(signer.allows(permit, asset, expires, signature, now), want, "{case}");
        }
    }
}
