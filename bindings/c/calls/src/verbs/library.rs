//! Functions without a handle.

use std::ffi::CStr;

use super::*;

impl Calls {
    /// What the last error of this thread says, as a caller with room enough hears it.
    pub(crate) fn words(&self) -> String {
        let (mut text, mut len) = (Output::new(Space::Of(513)), Output::of::<usize>(false));
        // SAFETY: the places are writable as said.
        let status = unsafe { unbroken_last_error(text.pointer(), text.len, len.pointer()) };
        let copied = copied("unbroken_last_error", status, &text, &len);
        assert_eq!(status, UNBROKEN_OK as Status, "512 bytes and a NUL hold every error");
        assert_eq!(text.bytes()[copied.bytes.len()], 0, "the text does not end with NUL");
        String::from_utf8(copied.bytes).expect("the text is UTF-8")
    }

    /// The same for one with any room: the text, or the need.
    pub fn last_error(&mut self, space: Space) -> Status {
        let before = self.words();
        let (mut text, mut len) = (Output::new(space), Output::of::<usize>(std::mem::take(&mut self.null)));
        let flaws = [text.flaw(), len.flaw()];
        let name = "unbroken_last_error";
        // SAFETY: the places are writable as said, or null.
        let status = unsafe { unbroken_last_error(text.pointer(), text.len, len.pointer()) };
        text.judge(name, status, false);
        let small = status == UNBROKEN_ERR_BUFFER_TOO_SMALL as Status;
        len.judge(name, status, small);
        let room = text.bytes().len();
        match flaws.iter().flatten().next() {
            Some(_) => assert!(flaws.contains(&Some(status))),
            None if small => {
                assert!(len.value::<usize>() == before.len() && room <= before.len());
                assert_eq!(self.words(), before, "the text is gone that did not fit");
            }
            None => {
                assert_eq!(status, UNBROKEN_OK as Status);
                assert!(text.bytes().starts_with(before.as_bytes()) && text.bytes()[before.len()] == 0);
            }
        }
        status
    }

    pub fn error_text(&self, status: Status) -> String {
        // SAFETY: the ABI promises a constant string that ends with NUL.
        let text = unsafe { CStr::from_ptr(unbroken_error_text(status)) };
        text.to_str().expect("it is ASCII").to_owned()
    }

    fn library(
        &mut self,
        name: &'static str,
        flaws: &[Option<Status>],
        may: &[unbroken_status],
        call: impl FnOnce() -> Status,
    ) -> Status {
        let duty = Duty {
            name,
            kind: Kind::Session,
            flaws,
            documented: may,
        };
        self.judged(&duty, None, call)
    }

    pub fn random_seed(&mut self) -> Answer<[u8; 32]> {
        let mut out = Output::of::<[u8; 32]>(std::mem::take(&mut self.null));
        let flaws = [out.flaw()];
        // SAFETY: the place is writable for 32 bytes, or null.
        let status = self.library("unbroken_random_seed", &flaws, &[], || unsafe {
            unbroken_random_seed(out.pointer())
        });
        out.judge("unbroken_random_seed", status, false);
        (status, (status == 0).then(|| out.value()))
    }

    pub fn public_key(&mut self, secret: Option<[u8; 32]>) -> Answer<[u8; 32]> {
        let (secret, mut out) = (
            Input::array(secret),
            Output::of::<[u8; 32]>(std::mem::take(&mut self.null)),
        );
        let flaws = [secret.flaw(), out.flaw()];
        // SAFETY: readable and writable for 32 bytes, or null.
        let call = || unsafe { unbroken_public_key(secret.pointer(), out.pointer()) };
        let status = self.library("unbroken_public_key", &flaws, &[UNBROKEN_ERR_CONFIG], call);
        out.judge("unbroken_public_key", status, false);
        (status, (status == 0).then(|| out.value()))
    }

    /// Several keys take the function for several.
    pub fn route(&mut self, keys: &[[u8; 32]], among: bool, count: u16, first: Data<'_>) -> Answer<u32> {
        let (bytes, first) = (keys.concat(), Input::new(first));
        let mut out = Output::of::<u32>(std::mem::take(&mut self.null));
        let number = keys.len() as u32;
        let keys = match keys.first() {
            Some(key) if !among => Input::array(Some(*key)),
            None if !among => Input::array::<32>(None),
            _ => Input::new(Data::Bytes(&bytes)),
        };
        let flaws = [keys.flaw(), first.flaw(), out.flaw()];
        let may = &[UNBROKEN_EMPTY, UNBROKEN_ERR_CONFIG, UNBROKEN_ERR_ARGUMENT];
        // SAFETY: the inputs are readable as said, the place writable or null.
        let call = || unsafe {
            if among {
                unbroken_route_among(keys.pointer(), number, count, first.pointer(), first.len, out.pointer())
            } else {
                unbroken_route(keys.pointer(), count, first.pointer(), first.len, out.pointer())
            }
        };
        // What is wrong with the keys themselves may be told before what is wrong with the rest.
        let flawed = flaws.iter().any(Option::is_some);
        let all: Vec<_> = flaws
            .into_iter()
            .chain([Some(UNBROKEN_ERR_CONFIG as Status).filter(|_| flawed)])
            .collect();
        let status = self.library("unbroken_route", &all, may, call);
        out.judge("unbroken_route", status, false);
        let shard = (status == 0).then(|| out.value::<u32>());
        assert!(
            shard.is_none_or(|shard| shard == UNBROKEN_ANY_SHARD || shard < count.into()),
            "{shard:?} of {count}"
        );
        assert!(
            status != UNBROKEN_EMPTY as Status || first.len < UNBROKEN_ROUTE_NEEDED,
            "more than what is always enough"
        );
        (status, shard)
    }

    pub fn mail_note(&mut self, key: Option<[u8; 8]>, space: Space) -> Copied {
        let key = Input::array(key);
        let (mut bytes, mut len) = (Output::new(space), Output::of::<usize>(std::mem::take(&mut self.null)));
        let flaws = [key.flaw(), bytes.flaw(), len.flaw()];
        let may = &[UNBROKEN_ERR_BUFFER_TOO_SMALL];
        let name = "unbroken_mail_note";
        // SAFETY: the key is readable for 8 bytes or null, the places are writable as said, or null.
        let call = || unsafe { unbroken_mail_note(key.pointer(), bytes.pointer(), bytes.len, len.pointer()) };
        let status = self.library(name, &flaws, may, call);
        let copied = copied(name, status, &bytes, &len);
        assert!(copied.len.unwrap_or(0) <= 512);
        copied
    }

    /// One of the six functions that fill a struct with its defaults.
    pub fn init(&mut self, which: u8, space: Space) -> Status {
        let mut out = Output::new(space);
        let flaws = [
            out.flaw(),
            matches!(space, Space::Null(0)).then_some(UNBROKEN_ERR_NULL as Status),
        ];
        let flawed = flaws.iter().any(Option::is_some);
        let flaws: Vec<_> = flaws
            .into_iter()
            .chain([Some(UNBROKEN_ERR_STRUCT_SIZE as Status).filter(|_| flawed)])
            .collect();
        let may = &[UNBROKEN_ERR_STRUCT_SIZE];
        // SAFETY: the place is writable as said, or null.
        let call = || unsafe {
            let (place, size) = (out.pointer::<u8>(), out.len);
            match which % 6 {
                0 => unbroken_limits_init(place.cast(), size),
                1 => unbroken_timing_init(place.cast(), size),
                2 => unbroken_backoff_init(place.cast(), size),
                3 => unbroken_client_config_init(place.cast(), size),
                4 => unbroken_server_config_init(place.cast(), size),
                _ => unbroken_store_reply_init(place.cast(), size),
            }
        };
        let status = self.library("an init function", &flaws, may, call);
        out.judge("an init function", status, false);
        if status == UNBROKEN_OK as Status {
            let size = out.bytes()[..4]
                .iter()
                .rev()
                .fold(0, |all, byte| all << 8 | usize::from(*byte));
            assert!(
                size == out.len || cfg!(target_endian = "big"),
                "struct_size is {size} of {}",
                out.len
            );
        }
        status
    }

    pub fn version(&self) -> (u32, String) {
        // SAFETY: the ABI promises a constant string that ends with NUL.
        let text = unsafe { CStr::from_ptr(unbroken_version()) };
        (unbroken_abi_version(), text.to_str().expect("it is ASCII").to_owned())
    }
}
