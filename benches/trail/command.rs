//! The commands, as people run them.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use keygate::clock::Clock;

/// What became of a command.
pub(crate) struct Keygate {
    pub(crate) succeeded: bool,
    /// What it printed, then what it complained of.
    pub(crate) text: String,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// The most memory that it had, in bytes.
    pub(crate) resident: u64,
}

impl Keygate {
    /// Runs `keygate audit …` on a trail.
    pub(crate) fn run(arguments: &[&str], store: &str, input: &str) -> Self {
        let (clock, before) = (Clock::system(), ended_cpu());
        let started = clock.instant();
        let mut child = Command::new(env!("CARGO_BIN_EXE_keygate"))
            .arg("audit")
            .args(arguments)
            .args(["--store", store])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let status = format!("/proc/{}/status", child.id());
        let (mut out, mut complaint) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let printed = thread::Builder::new().spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        });
        let mut resident = 0;
        while child.try_wait().unwrap().is_none() {
            resident = resident.max(high_water(&status));
            thread::sleep(Duration::from_millis(2));
        }
        let ended = child.wait().unwrap();
        let wall = clock.instant() - started;
        let mut text = printed.unwrap().join().unwrap().unwrap();
        complaint.read_to_string(&mut text).unwrap();
        Self {
            succeeded: ended.success(),
            text,
            wall,
            cpu: ended_cpu() - before,
            resident,
        }
    }
}

/// The most memory that a process has had so far, in bytes.
fn high_water(status: &str) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let number = line.and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// The processor time that this process has taken.
pub(crate) fn own_cpu() -> Duration {
    cpu(14)
}

/// The processor time of the commands that have ended.
fn ended_cpu() -> Duration {
    cpu(16)
}

/// Of `/proc/self/stat`, which counts hundredths of a second: a field, counted from
/// 1, and the one behind it. Nothing where there is no such file.
fn cpu(field: usize) -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // the name is field 2, and may hold anything
    let fields = text.rsplit_once(')').map_or("", |it| it.1);
    let fields = fields.split_whitespace().skip(field - 3).take(2);
    Duration::from_millis(fields.map(|it| it.parse::<u64>().unwrap() * 10).sum())
}
