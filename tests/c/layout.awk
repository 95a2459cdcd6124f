# Reads include/unbroken.h, writes a C program that prints the ABI: sizes, offsets, and numbers of constants.
BEGIN {
    print "#include <inttypes.h>\n#include <stddef.h>\n#include <stdio.h>\n#include \"unbroken.h\"\nint main(void) {"
}
/^typedef struct [a-z_]+ \{/ {
    name = $3
    printf "    printf(\"%s: %%zu bytes\\n\", sizeof(%s));\n", name, name
}
name && /^  [a-z].*;/ {
    field = $NF
    sub(/;/, "", field); sub(/\[.*/, "", field); sub(/^\*+/, "", field)
    printf "    printf(\"%s.%s: at %%zu, %%zu bytes\\n\", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n", name, field, name, field, name, field
}
/^}/ { name = "" }
/^#define UNBROKEN_[A-Z_]+ [0-9A-Z]/ {
    printf "    printf(\"%s = %%\" PRIu64 \"\\n\", (uint64_t)%s);\n", $2, $2
}
/^  UNBROKEN_[A-Z_]+ = -?[0-9]+,/ {
    printf "    printf(\"%s = %%d\\n\", (int)%s);\n", $1, $1
}
END { print "    return 0;\n}" }
