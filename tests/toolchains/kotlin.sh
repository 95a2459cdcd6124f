#!/usr/bin/env bash
# The Kotlin compiler for the JVM, JNA and JUnit, and the type stubs of Android's API 23. Prints the file to source: it sets KOTLINC,
# KOTLIN_STDLIB, KOTLIN_TEST, COROUTINES, JNA, JUNIT and ANDROID_JAR.
#
# The compiler's npm package has the coroutines and kotlin.test in it. The android.jar is Debian's: nothing of it runs, and nothing newer
# than API 23 is in it, which is why API 23 is what the Android module may use. JNA is to be what apps have, 5.18.1 or newer: it comes from
# Debian's next release where its own has an older one, and is that older one where the next does not fit.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
version=2.4.20
integrity=sha512-IF5IVM7LpPhA/ntHQQpaVt1yxpaaQovtEVYLyqWMuaLr0XelLPPm7/sM6HLhtcRjjjoSsK7I7lP2kzYJkMy73w==

# Two small packages without further needs. Installed, not unpacked: Debian's JNA looks for its native half in one place only.
jna() {
    local candidate
    candidate=$(apt-cache policy libjna-java | awk '$1 == "Candidate:" && $2 ~ /^[0-9]/ { print $2 }')
    if ! dpkg --compare-versions "${candidate:-0}" ge 5.18.1 2>/dev/null && of_release forky "$dir/debs" libjna-java libjna-jni; then
        as_root apt-get install -y -qq --no-install-recommends "$dir"/debs/libjna-*.deb >>"$log" 2>&1 </dev/null && return
    fi
    packages libjna-java
}

begin kotlin
if [ ! -e "$dir/.ok-2-$version" ]; then
    command -v npm >/dev/null || packages npm
    command -v javac >/dev/null || packages default-jdk-headless
    packages junit4 openssl
    jna
    npm_package kotlin-compiler "$version" "$integrity" "$dir/kotlinc"
    chmod +x "$dir"/kotlinc/bin/kotlin*
    of_release bullseye "$dir/debs" libandroid-23-java || stop "libandroid-23-java of Debian bullseye could not be fetched"
    dpkg -x "$dir"/debs/libandroid-23-java_*.deb "$dir/android"
    rm -rf "$dir/debs"
    library=$dir/kotlinc/lib
    cat >"$dir/env.sh" <<ENV
export KOTLINC=$dir/kotlinc/bin/kotlinc
export KOTLIN_STDLIB=$library/kotlin-stdlib.jar
export KOTLIN_TEST=$library/kotlin-test.jar:$library/kotlin-test-junit.jar
export COROUTINES=$library/kotlinx-coroutines-core-jvm.jar
export JNA=/usr/share/java/jna.jar
export JUNIT=/usr/share/java/junit4.jar:/usr/share/java/hamcrest-core.jar
export ANDROID_JAR=$dir/android/usr/share/java/com.android.android-23.jar
ENV
    "$dir/kotlinc/bin/kotlinc" -version >>"$log" 2>&1 || stop "the Kotlin compiler does not start"
    touch "$dir/.ok-2-$version"
fi
echo "$dir/env.sh"
