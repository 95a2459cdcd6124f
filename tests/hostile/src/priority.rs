//! Who gets the cores first. Attackers would be on other machines; here they share the cores of those whom they attack, and of whatever else runs.
//!
//! So the server and the honest clients are served before everybody, in calm and under attack alike, and the attackers after everybody. A round trip then
//! says how the server takes the attack, and the attackers' rates say whether they got enough. On Linux a priority is a thread's, and threads and
//! processes have that of the thread that starts them.

use rustix::process::setpriority_process;

const FIRST: i32 = -10;
const USUAL: i32 = 0;
const LAST: i32 = 10;

/// For processes that this thread starts. Whether the system allows it: it may ask for rights that not everybody has.
pub fn first() -> bool {
    setpriority_process(None, FIRST).is_ok()
}

/// As it was.
pub fn usual() {
    // Giving way is always allowed.
    let _ = setpriority_process(None, USUAL);
}

/// For this thread: after all others.
pub fn last() {
    let _ = setpriority_process(None, LAST);
}
