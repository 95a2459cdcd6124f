//! The sessions of an endpoint by locator, which every call looks into.
//!
//! A session can be taken out for a while, so that whoever works on it need not look it up again for each thing it does, and can use
//! the rest of the endpoint beside it. Its place stays: it counts among the sessions, and nobody else gets its locator.
//!
//! A locator is drawn from the endpoint's own random numbers and never chosen by a peer, so it needs no hash that
//! resists one: a multiplication is enough. It must be one, because all locators of a shard are equal modulo the
//! number of shards, and the map takes its buckets from the low bits and its tags from the high ones.

use alloc::boxed::Box;
use core::ops::Index;

use hashbrown::HashTable;

use super::Locator;
use super::served::Served;

/// See the module's head.
#[derive(Default)]
pub struct Sessions {
    places: HashTable<Place>,
    /// The bucket of the session that was found last. Each call looks for the same one several times.
    last: usize,
}

struct Place {
    locator: Locator,
    /// `None` while the session is taken out.
    served: Option<Box<Served>>,
}

impl Sessions {
    /// How many there are, those taken out included.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The locators, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Locator> {
        self.places.iter().map(|place| &place.locator)
    }

    pub fn contains_key(&self, locator: &Locator) -> bool {
        self.place(locator).is_some()
    }

    /// A session, unless it is taken out.
    #[inline]
    pub fn get(&self, locator: &Locator) -> Option<&Served> {
        self.place(locator)?.served.as_deref()
    }

    /// A session, unless it is taken out.
    #[inline]
    pub fn get_mut(&mut self, locator: &Locator) -> Option<&mut Served> {
        self.place_mut(locator)?.served.as_deref_mut()
    }

    pub fn insert(&mut self, locator: Locator, served: Box<Served>) {
        let served = Some(served);
        match self.place_mut(&locator) {
            Some(place) => place.served = served,
            None => {
                let place = Place { locator, served };
                self.places
                    .insert_unique(hash(&locator), place, |place| hash(&place.locator));
            }
        }
    }

    pub fn remove(&mut self, locator: &Locator) -> Option<Box<Served>> {
        let found = self.places.find_entry(hash(locator), |place| place.locator == *locator);
        found.ok()?.remove().0.served
    }

    /// Takes a session out if it is what `wanted` says. [`Sessions::put_back`] ends it.
    #[inline]
    pub fn take_if(&mut self, locator: &Locator, wanted: impl FnOnce(&Served) -> bool) -> Option<Box<Served>> {
        self.place_mut(locator)?.served.take_if(|served| wanted(served))
    }

    /// Returns a session to its place.
    #[inline]
    pub fn put_back(&mut self, locator: &Locator, served: Box<Served>) {
        let place = self.place_mut(locator);
        debug_assert!(
            place.as_ref().is_some_and(|place| place.served.is_none()),
            "its place is kept"
        );
        if let Some(place) = place {
            place.served = Some(served);
        }
    }

    #[inline]
    fn place(&self, locator: &Locator) -> Option<&Place> {
        match self.places.get_bucket(self.last) {
            Some(place) if place.locator == *locator => Some(place),
            _ => self.places.find(hash(locator), |place| place.locator == *locator),
        }
    }

    #[inline]
    fn place_mut(&mut self, locator: &Locator) -> Option<&mut Place> {
        let stands_there = |place: &Place| place.locator == *locator;
        if self.places.get_bucket(self.last).is_some_and(stands_there) {
            return self.places.get_bucket_mut(self.last);
        }
        self.last = self.find(locator)?;
        self.places.get_bucket_mut(self.last)
    }

    #[inline(never)]
    fn find(&self, locator: &Locator) -> Option<usize> {
        self.places
            .find_bucket_index(hash(locator), |place| place.locator == *locator)
    }
}

impl Index<&Locator> for Sessions {
    type Output = Served;

    fn index(&self, locator: &Locator) -> &Served {
        match self.get(locator) {
            Some(served) => served,
            None => unreachable!("whoever asks in this way knows that it is there"),
        }
    }
}

#[inline]
fn hash(locator: &Locator) -> u64 {
    // 2^64 over the golden ratio. The upper half of the product depends on all bits, so it goes to the low end, too.
    let product = u64::from_be_bytes(*locator).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locators_of_one_shard_spread_over_buckets_and_tags() {
        let mut buckets = [0u32; 256];
        let mut tags = [0u32; 128];
        for step in 0..25_600_u64 {
            // What 64 shards leave for one of them, the rest as even as it can be.
            let hash = hash(&(step * 64 + 5).to_be_bytes());
            buckets[(hash % 256) as usize] += 1;
            tags[(hash >> 57) as usize] += 1;
        }
        assert!(buckets.iter().all(|&held| (50..200).contains(&held)), "{buckets:?}");
        assert!(tags.iter().all(|&held| (100..400).contains(&held)), "{tags:?}");
    }
}
