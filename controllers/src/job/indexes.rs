//! A set of completion indexes, as a Job's status writes it: `0,2-5,7`.

use std::collections::BTreeMap;
use std::fmt;

/// Indexes, as ranges that do not touch: the first of each and its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(BTreeMap<usize, usize>);

impl Indexes {
    /// Reads a status; what makes no sense, or lies at `end` or behind it, is left out.
    pub(super) fn parse(text: &str, end: usize) -> Self {
        let mut indexes = Self::default();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>())
                && first <= last
                && first < end
            {
                indexes.insert_range(first, last.min(end - 1));
            }
        }
        indexes
    }

    /// Adds one.
    pub(super) fn insert(&mut self, index: usize) {
        self.insert_range(index, index);
    }

    fn insert_range(&mut self, mut first: usize, mut last: usize) {
        // The one that begins before or at it may reach it or touch it, and so may those that begin within.
        if let Some((&before, &end)) = self.0.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            first = before;
            last = last.max(end);
        }
        let touched: Vec<(usize, usize)> =
            self.0.range(first..=last.saturating_add(1)).map(|(&first, &last)| (first, last)).collect();
        for (begin, end) in touched {
            self.0.remove(&begin);
            last = last.max(end);
        }
        self.0.insert(first, last);
    }

    /// The last index of the range that holds this one.
    pub(super) fn end_of(&self, index: usize) -> Option<usize> {
        let (_, &last) = self.0.range(..=index).next_back()?;
        (last >= index).then_some(last)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// The lowest ones that are missing below `end`, apart from those that `taken` names.
    pub(super) fn missing(&self, end: usize, taken: impl Fn(usize) -> bool) -> impl Iterator<Item = usize> {
        let mut next = 0;
        std::iter::from_fn(move || {
            while next < end {
                let index = next;
                match self.end_of(index) {
                    Some(last) => next = last + 1,
                    None => {
                        next += 1;
                        if !taken(index) {
                            return Some(index);
                        }
                    }
                }
            }
            None
        })
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (first, last)) in self.0.iter().enumerate() {
            if position > 0 {
                formatter.write_str(",")?;
            }
            match last - first {
                0 => write!(formatter, "{first}")?,
                1 => write!(formatter, "{first},{last}")?,
                _ => write!(formatter, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows() {
        let check = |text: &str, end, expected: &str| {
            assert_eq!(Indexes::parse(text, end).to_string(), expected, "{text:?}");
        };
        check("", 10, "");
        check("1,3-5,7", 10, "1,3-5,7");
        check("1,2", 10, "1,2");
        check("0-2,3", 10, "0-3");
        check("3-5,x,9-8,4-6", 10, "3-6");
        check("3-50", 10, "3-9");
        check("50", 10, "");
        let missing = |text: &str, end| {
            let missing: Vec<usize> = Indexes::parse(text, end).missing(end, |index| index == 1).collect();
            missing
        };
        assert_eq!(missing("", 4), [0, 2, 3]);
        assert_eq!(missing("2-3", 6), [0, 4, 5]);
        assert_eq!(missing("0-9", 10), Vec::<usize>::new());
    }

    proptest! {
        #[test]
        fn it_is_a_set(all in prop::collection::vec(0..40_usize, 0..40)) {
            let mut indexes = Indexes::default();
            let set: BTreeSet<usize> = all.iter().copied().collect();
            all.iter().for_each(|index| indexes.insert(*index));
            prop_assert_eq!(indexes.len(), set.len());
            prop_assert!((0..50).all(|index| indexes.end_of(index).is_some() == set.contains(&index)));
            prop_assert_eq!(Indexes::parse(&indexes.to_string(), 40), indexes);
        }
    }
}
