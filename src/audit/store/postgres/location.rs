//! Where a PostgreSQL server is, as the settings write it: a URL as libpq knows
//! them, with a password from elsewhere.
//!
//! A password goes over TLS to a server whose certificate was checked, or stays on
//! this machine; anything else has to be asked for.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use percent_encoding::percent_decode_str;
use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use crate::upstream::credentials::Source;

/// How long a lost connection is waited for before calls are refused, by default.
pub const RECONNECT: Duration = Duration::from_secs(5);

/// How long another replica has to be away before its open intents are taken over,
/// by default.
pub const TAKE_OVER: Duration = Duration::from_secs(30);

/// A server, and how to connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub(super) config: Config,
    /// Where the password comes from that is not in the URL.
    pub password: Option<Source>,
    /// Certificates to trust instead of the machine's (PEM).
    pub ca: Option<PathBuf>,
    /// How long a lost connection is waited for before calls are refused.
    pub reconnect: Duration,
    /// How long another replica has to be away before its open intents are taken
    /// over.
    pub take_over: Duration,
}

/// What is wrong with a URL; without the URL, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It can't be read.
    #[error(
        "this is not a URL of PostgreSQL, as in `postgres://user@host:5432/database`; what a URL can't hold as it is, is written %XX"
    )]
    NoUrl,
    /// It names no host.
    #[error(
        "this names no host; for the socket in a folder write `postgres://user@%2Ffolder/database`"
    )]
    NoHost,
    /// It names no user or no database.
    #[error("this must name a user and a database: `postgres://user@host/database`")]
    NoDatabase,
    /// It has a mode of TLS that there is not.
    #[error("`sslmode` must be `verify-full`, or `disable` to send everything as it is")]
    SslMode,
    /// It asks for TLS on a socket.
    #[error("`sslmode`: a socket of this machine has no TLS")]
    SocketWithTls,
    /// It wants certificates to be trusted where there is no TLS.
    #[error("`sslrootcert` means nothing with `sslmode=disable`")]
    CaWithoutTls,
}

impl Location {
    /// Reads a URL. A relative path of certificates is taken from `folder`.
    ///
    /// # Errors
    /// [`Fault`] if it can't be used.
    pub fn parse(url: &str, folder: &Path) -> Result<Self, Fault> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut ca, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(Fault::NoUrl)?;
            let decoded = percent_decode_str(value).decode_utf8();
            let decoded = decoded.map_err(|_| Fault::NoUrl)?.into_owned();
            match name {
                "sslmode" => mode = Some(decoded),
                "sslrootcert" => ca = Some(folder.join(decoded)),
                _ => rest.push(pair),
            }
        }
        let url = match rest.is_empty() {
            true => base.to_owned(),
            false => format!("{base}?{}", rest.join("&")),
        };
        let mut config: Config = url.parse().map_err(|_| Fault::NoUrl)?;
        let hosts = config.get_hosts();
        if hosts.is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Fault::NoHost);
        }
        if config.get_user().is_none() || config.get_dbname().is_none() {
            return Err(Fault::NoDatabase);
        }
        let is_socket = hosts.iter().any(|it| matches!(it, Host::Unix(_)));
        let is_near = is_socket || hosts.iter().all(is_loopback);
        let is_near = is_near && config.get_hostaddrs().iter().all(IpAddr::is_loopback);
        let tls = match mode.as_deref() {
            None => !is_near,
            // what libpq checks less of is checked as a whole
            Some("verify-full" | "verify-ca" | "require") if is_socket => {
                return Err(Fault::SocketWithTls);
            }
            Some("verify-full" | "verify-ca" | "require") => true,
            Some("disable") => false,
            Some(_) => return Err(Fault::SslMode),
        };
        if ca.is_some() && !tls {
            return Err(Fault::CaWithoutTls);
        }
        config
            .ssl_mode(if tls {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .application_name("keygate")
            // a copy that only follows can't be written
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(Duration::from_secs(3))
            .tcp_user_timeout(Duration::from_secs(10))
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3);
        Ok(Self {
            config,
            password: None,
            ca,
            reconnect: RECONNECT,
            take_over: TAKE_OVER,
        })
    }

    /// Whether the URL holds a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// The user.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database.
    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            let address = name.trim_start_matches('[').trim_end_matches(']');
            name == "localhost" || address.parse().is_ok_and(|it: IpAddr| it.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

/// The server and the database, without user and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        let ports = self.config.get_ports();
        let named = self.config.get_hosts().iter().map(|it| match it {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let addresses = self.config.get_hostaddrs().iter().map(ToString::to_string);
        let hosts: Vec<_> = match self.config.get_hosts() {
            [] => addresses.collect(),
            _ => named.collect(),
        };
        for (at, host) in hosts.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{host}")?;
            if let Some(port) = ports.get(at).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        write!(f, "/{}", self.database())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Location, Fault> {
        Location::parse(url, Path::new("/etc/keygate"))
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_that_is_said() {
        for (url, tls) in [
            ("postgres://u@db.example.com/d", true),
            ("postgres://u@db.example.com/d?sslmode=require", true),
            ("postgres://u@db.example.com/d?sslmode=disable", false),
            ("postgres://u@a,b.example.com/d", true),
            ("postgres://u@localhost,b.example.com/d", true),
            ("postgres://u@localhost/d?hostaddr=10.0.0.1", true),
            ("postgres://u@localhost/d", false),
            ("postgres://u@127.0.0.1:5433/d", false),
            ("postgres://u@[::1]/d", false),
            ("postgresql://u@localhost/d?sslmode=verify-full", true),
            ("postgres://u@%2Frun%2Fpostgresql/d", false),
        ] {
            assert_eq!(parse(url).map(|it| it.has_tls()), Ok(tls), "{url}");
        }
    }

    #[test]
    fn what_can_not_be_used_is_refused_without_its_password() {
        for (url, fault) in [
            ("postgres://u:hunter2@db:x/d", Fault::NoUrl),
            ("postgres://u:hunter2@db/d?colour=red", Fault::NoUrl),
            ("postgres://u:hunter2@db/d?sslmode=prefer", Fault::SslMode),
            ("postgres://u:hunter2@db/d?sslmode", Fault::NoUrl),
            (
                "postgres://u:hunter2@%2Frun/d?sslmode=require",
                Fault::SocketWithTls,
            ),
            (
                "postgres://u:hunter2@db/d?sslmode=disable&sslrootcert=x",
                Fault::CaWithoutTls,
            ),
            ("postgres:///d?user=u&password=hunter2", Fault::NoHost),
            ("postgres://u:hunter2@db", Fault::NoDatabase),
            ("postgres://db/d", Fault::NoDatabase),
        ] {
            assert_eq!(parse(url), Err(fault), "{url}");
            assert!(!fault.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn it_is_named_without_user_and_password() {
        let url = "postgres://u:hunter2@db.example.com:5433/d?sslrootcert=ca%20of%20db.pem";
        let location = parse(url).unwrap();
        assert_eq!(location.to_string(), "postgres://db.example.com:5433/d");
        assert_eq!(
            location.ca.as_deref(),
            Some(Path::new("/etc/keygate/ca of db.pem"))
        );
        assert!(location.has_password());
        assert!(!format!("{location:?}").contains("hunter2"));
    }
}
