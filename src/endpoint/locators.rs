//! The sessions of an endpoint by locator, which every call looks into.
//!
//! A session can be taken out for a while, so that whoever works on it need not look it up again for each thing it does, and can use
//! the rest of the endpoint beside it. Its place stays: it counts among the sessions, and nobody else gets its locator.
//!
//! A locator is drawn from the endpoint's own random numbers and never chosen by a peer, so it needs no hash that
//! resists one: a multiplication is enough. It must be one, because all locators of a shard are equal modulo the
//! number of shards, and the map takes its buckets from the low bits and its tags from the high ones.

use alloc::boxed::Box;
use core::hash::{BuildHasherDefault, Hasher};
use core::ops::Index;

use hashbrown::HashMap;

use super::Locator;
use super::served::Served;

/// See the module's head.
#[derive(Default)]
pub struct Sessions(HashMap<Locator, Option<Box<Served>>, BuildHasherDefault<Multiplied>>);

impl Sessions {
    /// How many there are, those taken out included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The locators, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Locator> {
        self.0.keys()
    }

    pub fn contains_key(&self, locator: &Locator) -> bool {
        self.0.contains_key(locator)
    }

    /// A session, unless it is taken out.
    #[inline]
    pub fn get(&self, locator: &Locator) -> Option<&Served> {
        self.0.get(locator)?.as_deref()
    }

    /// A session, unless it is taken out.
    #[inline]
    pub fn get_mut(&mut self, locator: &Locator) -> Option<&mut Served> {
        self.0.get_mut(locator)?.as_deref_mut()
    }

    pub fn insert(&mut self, locator: Locator, served: Box<Served>) {
        self.0.insert(locator, Some(served));
    }

    pub fn remove(&mut self, locator: &Locator) -> Option<Box<Served>> {
        self.0.remove(locator).flatten()
    }

    /// Takes a session out if it is what `wanted` says. [`Sessions::put_back`] ends it.
    #[inline]
    pub fn take_if(&mut self, locator: &Locator, wanted: impl FnOnce(&Served) -> bool) -> Option<Box<Served>> {
        self.0.get_mut(locator)?.take_if(|served| wanted(served))
    }

    /// Returns a session to its place.
    #[inline]
    pub fn put_back(&mut self, locator: &Locator, served: Box<Served>) {
        let place = self.0.get_mut(locator);
        debug_assert!(place.as_ref().is_some_and(|place| place.is_none()), "its place is kept");
        if let Some(place) = place {
            *place = Some(served);
        }
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

/// The hasher of [`Sessions`].
#[derive(Default)]
pub struct Multiplied(u64);

impl Hasher for Multiplied {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.0 = u64::from_be_bytes(number);
    }

    /// How many bytes there are: always eight.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        // 2^64 over the golden ratio. The upper half of the product depends on all bits, so it goes to the low end, too.
        let product = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ product >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::hash::Hash;

    #[test]
    fn the_locators_of_one_shard_spread_over_buckets_and_tags() {
        let mut buckets = [0u32; 256];
        let mut tags = [0u32; 128];
        for step in 0..25_600_u64 {
            let mut hasher = Multiplied::default();
            // What 64 shards leave for one of them, the rest as even as it can be.
            (step * 64 + 5).to_be_bytes().hash(&mut hasher);
            let hash = hasher.finish();
            buckets[(hash % 256) as usize] += 1;
            tags[(hash >> 57) as usize] += 1;
        }
        assert!(buckets.iter().all(|&held| (50..200).contains(&held)), "{buckets:?}");
        assert!(tags.iter().all(|&held| (100..400).contains(&held)), "{tags:?}");
    }
}
