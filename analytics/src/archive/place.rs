//! Where an archive is: a folder, or a bucket of S3-compatible object storage; and what opens the bucket.
//!
//! Upstream: the command line. Downstream: [`super::recorder`], [`super::remote`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::ArchiveError;

/// A folder, or `s3://BUCKET/PREFIX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    Bucket { bucket: String, prefix: String },
}

impl Place {
    /// The folder, if it is one.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Bucket { .. } => None,
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("s3://") else {
            return match text.split_once("://") {
                Some((scheme, _)) => Err(format!("{scheme}:// is not known: give a folder, or s3://BUCKET/PREFIX")),
                None if text.is_empty() => Err("an archive is a folder, or s3://BUCKET/PREFIX".to_owned()),
                None => Ok(Self::Folder(PathBuf::from(text))),
            };
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(format!("`{text}` names no bucket: write s3://BUCKET/PREFIX"));
        }
        Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// What object storage wants to know: names as in the environment of Amazon's tools, such as `AWS_REGION`. Never shown.
#[derive(Clone, Default)]
pub struct Access {
    settings: Vec<(String, String)>,
    /// Whether a storage on another machine may be spoken to without TLS.
    pub allow_http: bool,
}

impl Access {
    /// Settings by name; a later one goes before an earlier one.
    pub fn new(settings: impl IntoIterator<Item = (String, String)>, allow_http: bool) -> Self {
        Self { settings: settings.into_iter().map(|(name, v)| (name.to_ascii_lowercase(), v)).collect(), allow_http }
    }

    /// The settings of a profile of a credentials file as Amazon's tools write it.
    ///
    /// # Errors
    /// A sentence when the profile is not in it, without what the file holds.
    pub fn of_profile(text: &str, profile: &str) -> Result<Vec<(String, String)>, String> {
        let (mut inside, mut is_there, mut found) = (false, false, Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                inside = name.trim() == profile;
                is_there |= inside;
            } else if let Some((name, value)) = line.split_once('=').filter(|_| inside) {
                found.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        if is_there { Ok(found) } else { Err(format!("there is no [{profile}] in it")) }
    }

    /// The settings, for who opens the storage.
    pub(super) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// Whether an endpoint may be used: TLS, or this machine, or when asked.
    pub(super) fn permits(&self, endpoint: &str) -> Result<(), ArchiveError> {
        let Some(rest) = endpoint.strip_prefix("http://") else { return Ok(()) };
        let host = rest.split(['/', '?']).next().unwrap_or(rest);
        let host = match host.strip_prefix('[') {
            Some(six) => six.split(']').next().unwrap_or(six),
            None => host.rsplit_once(':').map_or(host, |parts| parts.0),
        };
        let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if is_here || self.allow_http {
            return Ok(());
        }
        Err(ArchiveError::Place(format!(
            "{endpoint} is not this machine and has no TLS, so keys and data could be read on the way: use https://, or \
             allow it with --archive-allow-http"
        )))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|setting| setting.0.as_str()).collect();
        f.debug_struct("Access").field("settings", &names).field("allow_http", &self.allow_http).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_apart_and_written_as_they_were() {
        for text in ["/var/lib/arterial/archive", "archive", "s3://city", "s3://city/a/b"] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        for bad in ["", "s3://", "s3:///a", "ftp://x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn without_tls_only_this_machine_or_when_asked() {
        let careful = Access::default();
        for good in ["https://s3.example.org", "http://127.0.0.1:5000", "http://localhost:9000/x", "http://[::1]:9000"]
        {
            careful.permits(good).unwrap();
        }
        for bad in ["http://10.0.0.7:9000", "http://localhost.example.org", "http://127.0.0.1.example.org:80"] {
            assert!(careful.permits(bad).is_err(), "{bad}");
            Access::new([], true).permits(bad).unwrap();
        }
    }

    #[test]
    fn secrets_are_not_shown_and_a_profile_is_found() {
        let text = "[default]\naws_access_key_id = A\n# no\n[other]\naws_secret_access_key=s3cr3t\n";
        let other = Access::of_profile(text, "other").unwrap();
        assert_eq!(other, [("aws_secret_access_key".to_owned(), "s3cr3t".to_owned())]);
        assert!(!format!("{:?}", Access::new(other, false)).contains("s3cr3t"));
        assert!(!Access::of_profile(text, "third").unwrap_err().contains("s3cr3t"));
    }
}
