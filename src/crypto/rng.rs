//! Random numbers from a seed: HMAC-DRBG with SHA-256 (NIST SP 800-90A, section 10.1.2).
//!
//! The crate asks nobody for randomness. Whoever runs it hands in one seed from the operating system, and a test hands in
//! a constant and gets the same run again.
//!
//! The generator is two secrets, `K` and `V`. Output is `V = HMAC(K, V)`, block by block; after each request both are replaced
//! by a one-way step (`update`). So who steals the state later cannot compute what was drawn before: an ephemeral
//! secret stays secret although the generator lives on. Nothing is drawn ahead of a request, hence nothing unspent lies around.

use zeroize::{Zeroize, Zeroizing};

use super::prf::{Prf, Secret};

/// The most that SP 800-90A gives out before the state moves: 2^19 bits.
const REQUEST: usize = 65536;

/// 32 bytes of entropy, wiped when dropped.
pub struct Seed(Secret);

impl Seed {
    /// From the operating system's random numbers, or a constant in a test.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let seed = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        seed
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The generator. There is no `Clone`: two of the same would draw the same keys.
pub struct Rng {
    k: Secret,
    v: Secret,
}

impl Rng {
    /// The generator that belongs to a seed.
    pub fn new(seed: &Seed) -> Self {
        Self::instantiate(seed.as_bytes())
    }

    /// Mixes in more entropy, say after a snapshot of the machine was restored. It cannot make the state worse.
    pub fn reseed(&mut self, entropy: &[u8]) {
        self.update(entropy);
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for request in out.chunks_mut(REQUEST) {
            let prf = Prf::new(&*self.k);
            for block in request.chunks_mut(32) {
                self.v = prf.mac(&[self.v.as_slice()]);
                block.copy_from_slice(&self.v[..block.len()]);
            }
            self.update(&[]);
        }
    }

    /// 32 bytes.
    pub fn key(&mut self) -> [u8; 32] {
        let mut key = [0; 32];
        self.fill(&mut key);
        key
    }

    /// 64 bits.
    pub fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }

    /// A number below `n`, each with the same chance; 0 if `n` is 0.
    ///
    /// Lemire's method: the high half of `draw * n` is spread evenly but for `2^64 mod n` draws, which are thrown away.
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        let surplus = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.u64()) * u128::from(n);
            if product as u64 >= surplus {
                return (product >> 64) as u64;
            }
        }
    }

    /// `HMAC_DRBG_Instantiate`, all seed material in one string.
    pub(crate) fn instantiate(seed: &[u8]) -> Self {
        let mut rng = Self {
            k: Secret::new([0; 32]),
            v: Secret::new([1; 32]),
        };
        rng.update(seed);
        rng
    }

    /// `HMAC_DRBG_Update`.
    fn update(&mut self, data: &[u8]) {
        self.step(0, data);
        if !data.is_empty() {
            self.step(1, data);
        }
    }

    fn step(&mut self, separator: u8, data: &[u8]) {
        self.k = Prf::new(&*self.k).mac(&[self.v.as_slice(), &[separator], data]);
        self.v = Prf::new(&*self.k).mac(&[self.v.as_slice()]);
    }
}
