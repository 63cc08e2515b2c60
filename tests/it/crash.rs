//! What becomes of the trail when the process is killed, the power goes, or the
//! disk fails: nothing is lost that anyone was told, nothing is done that was not
//! written down, and what can't be kept is refused.

mod books;
mod callers;
mod kill;
