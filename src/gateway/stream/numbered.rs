//! Pages by number, of a list that is sorted by creation, oldest first.
//!
//! The walk finds the last page and reads from there to the first. What is removed
//! meanwhile moves what is left towards the pages still to be read, so nothing is
//! missed; what comes twice is left out. What is made meanwhile comes behind the
//! last page, and moves nothing. Something older can only come in between when it
//! begins to fit the request; then upstream's total grows, and the walk goes back by
//! a page.

use super::{Facts, Walk};

/// How pages are asked for by number, the first being 0.
#[derive(Clone, Copy, Debug)]
pub struct Numbered {
    /// How much a page holds.
    pub size: u64,
    /// The query of a page: its number, its size, and the order by creation.
    pub query: fn(u64) -> String,
}

/// The walk.
#[derive(Debug)]
pub(super) struct Backward {
    paging: Numbered,
    /// The page to read next; `None` when all have been read.
    next: Option<u64>,
    /// Whether the last page is still to be found.
    seeking: bool,
    /// What the page before said of the total.
    total: Option<u64>,
}

impl Backward {
    pub(super) fn new(paging: Numbered) -> Self {
        Self {
            paging,
            next: Some(0),
            seeking: true,
            total: None,
        }
    }

    /// Where to look for the last page, if there may be one behind this.
    fn behind(&self, at: u64, page: &Facts) -> Option<u64> {
        let told = page
            .total
            .map_or(0, |it| it.saturating_sub(1) / self.paging.size);
        let is_full = page.ids.len() as u64 >= self.paging.size;
        is_full.then(|| told.max(at + 1))
    }
}

impl Walk for Backward {
    fn next(&mut self) -> Option<String> {
        self.next.map(self.paging.query)
    }

    fn read(&mut self, page: &Facts) -> bool {
        let Some(at) = self.next else { return false };
        if self.seeking {
            self.next = self.behind(at, page);
            self.seeking = self.next.is_some();
            self.total = page.total;
        }
        if self.seeking {
            return false;
        }
        let has_grown = page.total > self.total;
        self.total = page.total;
        self.next = if has_grown {
            Some(at + 1)
        } else {
            at.checked_sub(1)
        };
        true
    }

    fn is_backward(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: u64 = 3;

    /// What happens between two reads.
    #[derive(Clone, Debug)]
    enum Change {
        Make,
        /// The one at this place.
        Remove(prop::sample::Index),
        /// Something older comes in at this place.
        Fit(prop::sample::Index),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            Just(Change::Make),
            any::<prop::sample::Index>().prop_map(Change::Remove),
            any::<prop::sample::Index>().prop_map(Change::Fit),
        ]
    }

    proptest! {
        #[test]
        fn what_is_there_all_along_comes(
            count in 0_u64..20,
            // one change at most between two reads: more can hide each other
            changes in prop::collection::vec(prop::option::of(change()), 0..40),
            tells_total in any::<bool>(),
        ) {
            let mut list: Vec<u64> = (0..count).collect();
            let (mut lasting, mut made) = (list.clone(), count);
            let paging = Numbered { size: SIZE, query: |it| it.to_string() };
            let (mut walk, mut changes) = (Backward::new(paging), changes.into_iter());
            let (mut seen, mut reads) = (Vec::new(), 0);
            while let Some(query) = walk.next() {
                reads += 1;
                prop_assert!(reads < 200);
                let at: usize = query.parse().unwrap();
                let page = list.chunks(3).nth(at).unwrap_or_default().to_vec();
                let facts = Facts {
                    ids: page.iter().map(u64::to_string).collect(),
                    total: tells_total.then_some(list.len() as u64),
                };
                if walk.read(&facts) {
                    seen.extend(page.into_iter().rev());
                }
                match changes.next().flatten() {
                    None => {}
                    Some(Change::Make) => {
                        list.push(made);
                        made += 1;
                    }
                    Some(Change::Remove(_)) if list.is_empty() => {}
                    Some(Change::Remove(at)) => {
                        let gone = list.remove(at.index(list.len()));
                        lasting.retain(|it| *it != gone);
                    }
                    // it only shows in the total
                    Some(Change::Fit(_)) if !tells_total => {}
                    Some(Change::Fit(at)) => {
                        list.insert(at.index(list.len() + 1), made);
                        made += 1;
                    }
                }
            }
            let missed: Vec<_> = lasting.iter().filter(|it| !seen.contains(it)).collect();
            prop_assert!(missed.is_empty(), "{missed:?} of {lasting:?} in {seen:?}");
        }
    }
}
