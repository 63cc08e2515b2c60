//! Where master credentials come from.

use std::{error::Error as _, fs, path::PathBuf};

use http::HeaderName;
use keygate::{
    clock::Clock,
    upstream::credentials::{COMMAND_TIMEOUT, Header, MAX_BYTES, Reason, Source},
};
use secrecy::ExposeSecret as _;

const SECRET: &str = "5ecret-5ecret-5ecret";

async fn load(source: &Source) -> Result<String, Reason> {
    match source.load().await {
        Ok(credential) => Ok(credential.expose_secret().to_owned()),
        Err(error) => {
            let mut told = format!("{error} {error:?} {source:?} {source}");
            let mut cause = error.source();
            while let Some(it) = cause {
                told += &format!(" {it} {it:?}");
                cause = it.source();
            }
            assert!(!told.contains(SECRET), "{told}");
            Err(error.reason())
        }
    }
}

fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, Source) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    fs::write(&path, content).expect("it is written");
    (folder, Source::File(path))
}

fn command(words: &[&str]) -> Source {
    Source::Command(words.iter().map(|it| (*it).to_owned()).collect())
}

fn shell(script: &str) -> Source {
    command(&["sh", "-c", script])
}

#[tokio::test]
async fn a_file_is_read_anew_each_time() {
    let (_folder, source) = file(format!("{SECRET}\n"));
    assert_eq!(load(&source).await.as_deref(), Ok(SECRET));
    let Source::File(path) = &source else {
        unreachable!("it is a file")
    };
    fs::write(path, "another").expect("it is written");
    assert_eq!(load(&source).await.as_deref(), Ok("another"));
    fs::remove_file(path).expect("it goes");
    let gone = Reason::Unreadable(std::io::ErrorKind::NotFound);
    assert_eq!(load(&source).await, Err(gone));
}

#[tokio::test]
async fn what_is_no_credential_is_refused() {
    for (content, reason) in [
        (String::new(), Reason::Empty),
        ("\n".to_owned(), Reason::Empty),
        (format!("{SECRET} {SECRET}"), Reason::NotVisibleAscii),
        (format!("{SECRET}\n{SECRET}\n"), Reason::NotVisibleAscii),
        (format!("{SECRET}\0"), Reason::NotVisibleAscii),
        ("k".repeat(MAX_BYTES + 1), Reason::TooLong),
        ("k".repeat(100 * MAX_BYTES), Reason::TooLong),
    ] {
        let (_folder, source) = file(content);
        assert_eq!(load(&source).await, Err(reason));
    }
    let (_folder, longest) = file("k".repeat(MAX_BYTES) + "\r\n");
    assert_eq!(load(&longest).await, Ok("k".repeat(MAX_BYTES)));
    let folder = Source::File(PathBuf::from("."));
    assert_eq!(load(&folder).await, Err(Reason::NotAFile));
}

#[tokio::test]
async fn the_environment_gives_one_too() {
    let set = Source::Env("CARGO_PKG_NAME".to_owned());
    assert_eq!(load(&set).await.as_deref(), Ok("keygate"));
    for name in ["KEYGATE_TEST_THAT_NOBODY_SETS", "", "A=B"] {
        let source = Source::Env(name.to_owned());
        assert_eq!(load(&source).await, Err(Reason::NotSet));
        assert!(source.check().is_err());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_gives_one_and_no_shell_reads_its_words() {
    let printed = command(&["printf", "%s\n", "$HOME;*"]);
    assert_eq!(load(&printed).await.as_deref(), Ok("$HOME;*"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_fails_says_nothing_of_what_it_knew() {
    let failed = shell(&format!("echo {SECRET}; echo {SECRET} >&2; exit 3"));
    match load(&failed).await {
        Err(Reason::Failed(status)) => assert_eq!(status.code(), Some(3)),
        other => panic!("{other:?}"),
    }
    let missing = command(&["/no/such/program", SECRET]);
    let not_found = Reason::NotStarted(std::io::ErrorKind::NotFound);
    assert_eq!(load(&missing).await, Err(not_found));
    assert_eq!(load(&shell("true")).await, Err(Reason::Empty));
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_never_ends_its_output_is_stopped() {
    let clock = Clock::system();
    let started = clock.instant();
    assert_eq!(load(&command(&["yes"])).await, Err(Reason::TooLong));
    assert!(clock.instant() - started < COMMAND_TIMEOUT / 2);
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_that_hangs_is_stopped() {
    let hanging = command(&["sleep", "60"]);
    assert_eq!(load(&hanging).await, Err(Reason::TimedOut));
}

#[tokio::test]
async fn a_header_does_not_show_it() {
    let (_folder, source) = file(SECRET);
    let credential = source.load().await.expect("it loads");
    let plain = Header::Plain(HeaderName::from_static("dd-api-key"));
    for (header, name, expected) in [
        (plain, "dd-api-key", SECRET.to_owned()),
        (Header::Bearer, "authorization", format!("Bearer {SECRET}")),
    ] {
        assert_eq!(header.name(), name);
        let value = header.value(&credential).expect("it is legal");
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), expected.as_bytes());
        assert!(!format!("{header:?} {value:?} {credential:?}").contains(SECRET));
    }
}
