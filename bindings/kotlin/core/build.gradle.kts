// Everything but Android: runs on any JVM, and is tried there (tests/run kotlin).
plugins {
    alias(libs.plugins.kotlin.jvm)
    `java-library`
    `maven-publish`
}

kotlin {
    sourceSets.main { kotlin.srcDir("src/generated/kotlin") }
    compilerOptions { jvmTarget.set(org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_1_8) }
}

java {
    sourceCompatibility = JavaVersion.VERSION_1_8
    targetCompatibility = JavaVersion.VERSION_1_8
    withSourcesJar()
}

dependencies {
    api(libs.coroutines)
    // As a plain JAR, for JVMs; the Android module brings the AAR, which has the same classes.
    compileOnly(libs.jna)
    testImplementation(kotlin("test-junit"))
    testImplementation(libs.jna)
}

publishing {
    publications {
        create<MavenPublication>("maven") {
            artifactId = "unbroken-core"
            from(components["java"])
        }
    }
}
