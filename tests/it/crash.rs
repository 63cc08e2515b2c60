//! What becomes of the trail when the process is killed, the power goes, or the
//! disk fails: nothing is lost that anyone was told, nothing is done that was not
//! written down, and what can't be kept is refused.

mod bench;
mod books;
mod callers;
mod faults;
mod kill;
mod power;
mod probe;
mod space;
mod stalls;

use keygate::random::{Random, Source};

/// The same random bytes for the same seed.
fn seeded(seed: u64) -> Random {
    struct Seeded(std::sync::Mutex<rand::rngs::StdRng>);
    impl Source for Seeded {
        fn fill(&self, buffer: &mut [u8]) {
            rand::Rng::fill_bytes(&mut *self.0.lock().unwrap(), buffer);
        }
    }
    let generator = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed);
    Random::from_source(Seeded(generator.into()))
}

/// A number that the environment may set.
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

/// A number below this one.
fn below(random: &Random, end: u64) -> u64 {
    u64::from_le_bytes(random.bytes()) % end
}
