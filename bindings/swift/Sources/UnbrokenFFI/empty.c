// The package manager wants a source file in a C target; the code is in the Rust library.
#include "UnbrokenFFI.h"
