//! Proofs about a tree: that it holds a leaf, and that it grew from another.
//!
//! They are made by the recursion of RFC 6962 (sections 2.1.1 and 2.1.2), and
//! checked by the loops of RFC 9162 (sections 2.1.3.2 and 2.1.4.2), which need
//! nothing but the proof.

use super::{Frontier, Hash, Hashes};

/// What stands beside the way from the leaf up to the root, from below.
///
/// `index` has to be below `size`.
///
/// # Errors
/// Whatever goes wrong where the hashes are kept.
pub fn inclusion<H: Hashes>(hashes: &H, index: u64, size: u64) -> Result<Vec<Hash>, H::Error> {
    let mut path = Vec::new();
    let (mut start, mut end) = (0, size);
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            path.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(range(hashes, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// What shows that the tree of `old` leaves is the beginning of that of `size`.
///
/// `old` may not be above `size`; nothing is needed where it is 0 or `size`.
///
/// # Errors
/// Whatever goes wrong where the hashes are kept.
pub fn consistency<H: Hashes>(hashes: &H, old: u64, size: u64) -> Result<Vec<Hash>, H::Error> {
    let mut path = Vec::new();
    if old == 0 || old == size {
        return Ok(path);
    }
    let (mut start, mut end) = (0, size);
    // whether what is left is a whole tree that the verifier knows the root of
    let mut known = true;
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            path.push(range(hashes, middle, end)?);
            end = middle;
        } else {
            path.push(range(hashes, start, middle)?);
            start = middle;
            known = false;
        }
    }
    if !known {
        path.push(range(hashes, start, end)?);
    }
    path.reverse();
    Ok(path)
}

/// The root of the tree of the first leaves.
///
/// # Errors
/// Whatever goes wrong where the hashes are kept.
pub fn root<H: Hashes>(hashes: &H, size: u64) -> Result<Hash, H::Error> {
    if size == 0 {
        return Ok(Hash::empty());
    }
    range(hashes, 0, size)
}

/// The root that a leaf has in a tree of this size with this path; `None` if there
/// can be no such path.
#[must_use]
pub fn root_by_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut root = leaf;
    for hash in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            root = Hash::node(hash, &root);
            while at % 2 == 0 && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            root = Hash::node(&root, hash);
        }
        at /= 2;
        last /= 2;
    }
    (last == 0).then_some(root)
}

/// Whether a tree of `size` leaves with this root begins with that of `old` leaves.
#[must_use]
pub fn is_consistent(old: (u64, Hash), new: (u64, Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (size, root)) = (old, new);
    if old_size == 0 || old_size >= size {
        let same = old_size == size && old_root == root;
        let begins = old_size == 0 && old_root == Hash::empty();
        return path.is_empty() && (same || begins);
    }
    let mut path = path.iter();
    let first = if old_size.is_power_of_two() {
        Some(&old_root)
    } else {
        path.next()
    };
    let Some(&first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, size - 1);
    while at % 2 == 1 {
        at /= 2;
        last /= 2;
    }
    let (mut old_found, mut found) = (first, first);
    for hash in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            old_found = Hash::node(hash, &old_found);
            found = Hash::node(hash, &found);
            while at % 2 == 0 && at != 0 {
                at /= 2;
                last /= 2;
            }
        } else {
            found = Hash::node(&found, hash);
        }
        at /= 2;
        last /= 2;
    }
    last == 0 && old_found == old_root && found == root
}

/// The largest power of two below a size of at least two.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The root of the leaves from `start` up to `end`, which are a node of some tree.
fn range<H: Hashes>(hashes: &H, start: u64, end: u64) -> Result<Hash, H::Error> {
    let size = end - start;
    if size.is_power_of_two() {
        return hashes.subtree(size.ilog2(), start / size);
    }
    let middle = start + split(size);
    let (left, right) = (range(hashes, start, middle)?, range(hashes, middle, end)?);
    Ok(Hash::node(&left, &right))
}

/// The newest leaves, and all that stands beside their ways to the root. Every node is
/// hashed once, for however many proofs.
#[derive(Clone, Debug)]
pub struct Recent {
    size: u64,
    /// From the leaves up to the root.
    levels: Vec<Level>,
}

/// Nodes of one height beside each other. The last may have fewer leaves than its
/// height has room for: then it is the node that is its only child.
#[derive(Clone, Debug)]
struct Level {
    /// The index of the first one: even, or that of the leaf of a tree without another.
    first: u64,
    nodes: Vec<Hash>,
}

impl Recent {
    /// The leaves that come after this edge.
    #[must_use]
    pub fn new(before: &Frontier, leaves: impl ExactSizeIterator<Item = Hash>) -> Self {
        let mut first = before.size;
        let size = first + leaves.len() as u64;
        // the roots of the edge, the smallest first: one for every bit of its size
        let mut edge = before.roots.iter().rev();
        let mut beside = |first: u64| (first % 2 == 1).then(|| edge.next().copied()).flatten();
        let mut levels = Vec::new();
        let mut nodes: Vec<_> = beside(first).into_iter().chain(leaves).collect();
        loop {
            first -= first % 2;
            let above = first / 2;
            let parents = nodes.chunks(2).map(|pair| match pair {
                [left, right] => Hash::node(left, right),
                alone => alone[0],
            });
            let parents = beside(above).into_iter().chain(parents).collect();
            let done = first == 0 && nodes.len() < 2;
            levels.push(Level { first, nodes });
            if done {
                return Self { size, levels };
            }
            (first, nodes) = (above, parents);
        }
    }

    /// What stands beside the way from one of the leaves up to the root, from below;
    /// `None` if it is none of them.
    #[must_use]
    pub fn inclusion(&self, index: u64) -> Option<Vec<Hash>> {
        let mut path = Vec::with_capacity(self.levels.len());
        for (height, level) in self.levels.iter().enumerate() {
            let sibling = (index >> height) ^ 1;
            // where the tree ends there is nothing beside
            if sibling << height < self.size {
                let at = usize::try_from(sibling.checked_sub(level.first)?).ok()?;
                path.push(*level.nodes.get(at)?);
            }
        }
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// There are not as many leaves.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Unknown;

    /// All leaves of a tree, from which every subtree is made anew.
    struct Leaves(Vec<Hash>);

    impl Leaves {
        fn new(size: u64) -> Self {
            Self((0..size).map(|it| Hash::leaf(&it.to_be_bytes())).collect())
        }

        /// The definition of the root, to the letter.
        fn root(leaves: &[Hash]) -> Hash {
            match leaves {
                [] => Hash::empty(),
                [one] => *one,
                many => {
                    let middle = many.len().next_power_of_two() / 2;
                    let (left, right) = many.split_at(middle);
                    Hash::node(&Self::root(left), &Self::root(right))
                }
            }
        }

        fn frontier(&self, size: u64) -> Frontier {
            let mut frontier = Frontier::default();
            for leaf in &self.0[..usize::try_from(size).unwrap()] {
                frontier.push(*leaf, |_| ());
            }
            frontier
        }

        fn first(&self, size: u64) -> Hash {
            Self::root(&self.0[..usize::try_from(size).unwrap()])
        }
    }

    impl Hashes for Leaves {
        type Error = Unknown;

        fn subtree(&self, height: u32, index: u64) -> Result<Hash, Unknown> {
            let (start, size) = (index << height, 1 << height);
            let leaves = usize::try_from(start).unwrap()..usize::try_from(start + size).unwrap();
            self.0.get(leaves).map(Self::root).ok_or(Unknown)
        }
    }

    #[test]
    fn every_small_tree_proves_every_leaf_and_every_beginning() {
        let leaves = Leaves::new(70);
        for size in 1..=70 {
            let tree = leaves.first(size);
            assert_eq!(leaves.frontier(size).root(), tree);
            assert_eq!(Frontier::of(&leaves, size), Ok(leaves.frontier(size)));
            assert_eq!(root(&leaves, size), Ok(tree));
            for index in 0..size {
                let path = inclusion(&leaves, index, size).unwrap();
                let leaf = leaves.subtree(0, index).unwrap();
                assert_eq!(root_by_inclusion(leaf, index, size, &path), Some(tree));
            }
            for old in 0..=size {
                let path = consistency(&leaves, old, size).unwrap();
                let before = (old, leaves.first(old));
                assert!(is_consistent(before, (size, tree), &path), "{old} {size}");
                let other = (old, Hash::leaf(b"other"));
                assert!(!is_consistent(other, (size, tree), &path), "{old} {size}");
                assert!(!is_consistent(before, (size, other.1), &path) || old == 0);
            }
        }
    }

    #[test]
    fn the_newest_leaves_are_proved_from_the_edge_before_them() {
        let leaves = Leaves::new(70);
        for size in 1..=70 {
            for before in 0..size {
                let [from, to] = [before, size].map(|it| usize::try_from(it).unwrap());
                let newest = leaves.0[from..to].iter().copied();
                let recent = Recent::new(&leaves.frontier(before), newest);
                for index in before..size {
                    assert_eq!(
                        recent.inclusion(index),
                        inclusion(&leaves, index, size).ok()
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_proof_that_was_touched_proves_nothing(
            size in 2..200_u64,
            index in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            bit in 0..256_usize,
        ) {
            let leaves = Leaves::new(size);
            let index = index.index(usize::try_from(size).unwrap()) as u64;
            let mut path = inclusion(&leaves, index, size).unwrap();
            let place = place.index(path.len());
            path[place].0[bit / 8] ^= 1 << (bit % 8);
            let leaf = leaves.subtree(0, index).unwrap();
            let found = root_by_inclusion(leaf, index, size, &path);
            prop_assert_ne!(found, Some(leaves.first(size)));
            path.pop();
            prop_assert_eq!(root_by_inclusion(leaf, index, size, &path), None);
        }
    }
}
