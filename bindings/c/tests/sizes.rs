//! Structs have no padding, and the numbers in prose hold: what other languages rely on.

use unbroken_c::*;

#[test]
fn fixed_structs_have_their_fixed_sizes() {
    assert_eq!(size_of::<unbroken_event>(), 24 + 16 + 6 * 8 + 16);
    assert_eq!(size_of::<unbroken_output>(), 48);
    assert_eq!(size_of::<unbroken_limits>(), 14 * 4);
    assert_eq!(size_of::<unbroken_timing>(), 7 * 4);
    assert_eq!(size_of::<unbroken_backoff>(), 4 * 4);
    assert_eq!(size_of::<unbroken_stats>(), 15 * 8);
    assert_eq!(size_of::<unbroken_link_health>(), 2 * 4 + 8);
    assert_eq!(size_of::<unbroken_counters>(), 28 * 8);
    let word = size_of::<usize>();
    assert_eq!(size_of::<unbroken_client_config>(), 8 + 8 * word);
    assert_eq!(size_of::<unbroken_server_config>(), 24 + 9 * word);
    assert_eq!(
        size_of::<unbroken_store_request>(),
        8 + 4 * 4 + 8 + 2 * (8 + 16) + 32 + 6 * 8
    );
    assert_eq!(size_of::<unbroken_store_item>(), 8 + 2 * word);
    assert_eq!(size_of::<unbroken_store_reply>(), 16 + 2 * 8 + 16 + 8 + 4 * word);
}

#[test]
fn every_status_has_a_text_of_its_own() {
    let mut texts = std::collections::HashSet::new();
    for status in -21..=1 {
        // SAFETY: the function returns a constant string that ends with NUL.
        let text = unsafe { std::ffi::CStr::from_ptr(unbroken_error_text(status)) };
        assert!(text.to_str().is_ok_and(|text| text.is_ascii()));
        assert!(texts.insert(text), "{status}");
    }
}
