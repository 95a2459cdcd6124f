# Reads include/unbroken.h, writes a C library that defines each of its functions with an empty body. Compiled with full debug information it
# has the header's whole ABI, parameters and structs, in a form that abidiff reads. The real library is not compiled so: that takes a minute, and
# that it is the same is checked elsewhere (the header is generated from it, and the exported symbols are compared).
BEGIN { print "#include \"unbroken.h\"" }
/^#if defined\(UNBROKEN_TESTING\)/ { testing = 1 }
/^#endif/ { testing = 0 }
testing { next }
/^ ?\/?\*/ { next }
/^UNBROKEN_API/ { open = 1; text = "" }
open { text = text " " $0 }
open && /\);$/ {
    open = 0
    sub(/UNBROKEN_API/, "", text)
    sub(/;$/, " { __builtin_trap(); }", text)
    print text
}
