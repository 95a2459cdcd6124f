// The library for apps: the core, JNA, the native code for each ABI, and Android's networks and lifecycle.
plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
    `maven-publish`
}

android {
    namespace = "dev.unbroken.android"
    compileSdk = 35
    defaultConfig {
        // Nothing newer than API 23 is called; tests/run kotlin compiles against it.
        minSdk = 23
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions { jvmTarget = "1.8" }
    publishing { singleVariant("release") { withSourcesJar() } }
}

dependencies {
    api(project(":core"))
    api(libs.coroutines.android)
    api(libs.jna) { artifact { type = "aar" } }
}

// src/main/jniLibs is made by build-libraries; no AAR without it, nor with a library that devices with 16 KB pages refuse.
val checkLibraries by tasks.registering(Exec::class) {
    commandLine("../check-alignment", "src/main/jniLibs/arm64-v8a/libunbroken_uniffi.so", "src/main/jniLibs/x86_64/libunbroken_uniffi.so")
}
tasks.named("preBuild") { dependsOn(checkLibraries) }

publishing {
    publications {
        register<MavenPublication>("release") {
            artifactId = "unbroken-android"
            afterEvaluate { from(components["release"]) }
        }
    }
}
