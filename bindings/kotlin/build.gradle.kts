plugins {
    alias(libs.plugins.android.library) apply false
    alias(libs.plugins.kotlin.jvm) apply false
    alias(libs.plugins.kotlin.android) apply false
}

allprojects {
    group = "dev.unbroken"
    version = "0.1.0"
}
