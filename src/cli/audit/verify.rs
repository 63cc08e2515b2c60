//! `keygate audit verify`: whether the trail is what was signed.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    audit::{
        Receipt, checkpoint,
        note::{self, Verifier},
        verify::{self, Evidence, Report},
    },
    cli::{Error, Exit, Result, output},
    clock::Clock,
};

/// Prove that the trail is what was signed
///
/// It needs no server and no network: the trail, the public key, and whatever
/// checkpoints and receipts were kept elsewhere. All records are read and the tree
/// over them is grown anew. A trail that does not hold ends with exit code 65, and
/// every finding says from which record on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keygate audit verify --config keygate.toml --key trail.pub --checkpoints checkpoints.txt
  keygate audit verify --store sqlite:copy.db --key 'keygate+1a2b3c4d+ARs…' --receipt receipt")]
pub(super) struct Verify {
    #[command(flatten)]
    source: super::source::Source,
    /// The public key, or a file with public keys, one a line, as `keygate audit key`
    /// prints them
    #[arg(long, value_name = "KEY|FILE", required = true)]
    key: Vec<String>,
    /// A file of checkpoints that were kept elsewhere; `-` for standard input
    #[arg(long, value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// A file with a receipt, as it came in `keygate-receipt-bin`
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
}

impl Verify {
    pub(super) fn run(&self) -> Result {
        let evidence = Evidence {
            keys: keys(&self.key)?,
            checkpoints: self.checkpoints()?,
            receipts: self
                .receipt
                .iter()
                .map(|it| receipt(it))
                .collect::<std::result::Result<_, _>>()?,
        };
        let settings = self.source.settings()?;
        let mut progress = Shown::new();
        let report = verify::verify(&settings, &evidence, &mut |done, of| {
            progress.show(done, of)
        });
        progress.end();
        tell(&report?)
    }

    fn checkpoints(&self) -> std::result::Result<Vec<String>, Error> {
        let mut all = Vec::new();
        for path in &self.checkpoints {
            let found = checkpoint::notes(&read(path)?);
            if found.is_empty() {
                let fault = anyhow::anyhow!("{}: there is no checkpoint in it", path.display());
                return Err(Error::new(Exit::Data, fault));
            }
            all.extend(found);
        }
        Ok(all)
    }
}

/// Reads a receipt from a file.
pub(super) fn receipt(path: &Path) -> std::result::Result<Receipt, Error> {
    let receipt = Receipt::read(&read(path)?);
    let told = receipt.with_context(|| path.display().to_string());
    told.map_err(|e| Error::new(Exit::Data, e))
}

/// Reads public keys as they are given: themselves, or in files.
pub(super) fn keys(given: &[String]) -> std::result::Result<Vec<Verifier>, Error> {
    let mut keys = Vec::new();
    for text in given {
        if let Ok(key) = text.parse() {
            keys.push(key);
            continue;
        }
        if !Path::new(text).exists() {
            let fault = anyhow::Error::from(note::Error::NotAVerifierKey);
            let fault = fault.context("--key is neither a key nor a file");
            return Err(Error::new(Exit::Usage, fault));
        }
        for line in read(Path::new(text))?.lines() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let key = line.parse::<Verifier>().with_context(|| text.clone());
            keys.push(key.map_err(|e| Error::new(Exit::Data, e))?);
        }
    }
    Ok(keys)
}

pub(super) fn read(path: &Path) -> std::result::Result<String, Error> {
    let text = if path == Path::new("-") {
        io::read_to_string(io::stdin())
    } else {
        fs::read_to_string(path)
    };
    let told = text.with_context(|| format!("{} can't be read", path.display()));
    told.map_err(|e| Error::new(Exit::Io, e))
}

fn tell(report: &Report) -> Result {
    let mut text = String::new();
    for (origin, tree) in &report.trees {
        let root = tree
            .root
            .map_or_else(|| "-".to_owned(), |it| it.to_string());
        text += &format!("{origin}: {} records, root {root}\n", tree.size);
        if tree.pruned > 0 {
            text += &format!(
                "  {} of them are known by their hashes alone\n",
                tree.pruned
            );
        }
        text += &format!(
            "  {} signed checkpoints fit; the largest covers {} records\n",
            tree.checkpoints, tree.covered
        );
        let after = tree.size - tree.covered.min(tree.size);
        if after > 0 && report.holds() {
            text += &format!(
                "  nothing vouches for the last {after} yet: they came after every checkpoint\n"
            );
        }
    }
    output::print(&text)?;
    if report.holds() {
        return output::print("the trail holds\n");
    }
    let mut findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    if report.untold > 0 {
        findings.push(format!("and {} more", report.untold));
    }
    let findings = findings.join("\n");
    let fault = anyhow::anyhow!("the trail does not hold\n{findings}");
    Err(Error::new(Exit::Data, fault))
}

/// Shows on a terminal how far it has come.
struct Shown {
    terminal: bool,
    clock: Clock,
    last: std::time::Instant,
}

impl Shown {
    fn new() -> Self {
        let clock = Clock::system();
        Self {
            terminal: io::stderr().is_terminal(),
            last: clock.instant(),
            clock,
        }
    }

    fn show(&mut self, done: u64, of: u64) {
        let now = self.clock.instant();
        if !self.terminal || now.duration_since(self.last) < Duration::from_millis(100) {
            return;
        }
        self.last = now;
        let percent = done.saturating_mul(100) / of.max(1);
        self.write(&format!("\r{percent:>3} %  {done} of {of} records"));
    }

    fn end(&self) {
        if self.terminal {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        // a terminal that is gone needs no progress
        let _ = io::stderr().write_all(text.as_bytes());
    }
}
