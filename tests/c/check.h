/* What the test programs share: checks, constant keys, and configurations. In the common part of C11 and C++17, as are the programs:
 * each is compiled as both. */
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unbroken.h"

static int checks_made = 0;

static void check_failed(const char *file, int line, const char *what) {
    char text[600];
    size_t length = 0;
    if (unbroken_last_error(text, sizeof text, &length) != UNBROKEN_OK) {
        text[0] = 0;
    }
    fprintf(stderr, "%s:%d: failed: %s (last error: %s)\n", file, line, what, text);
    exit(1);
}

#define CHECK(condition) ((void)checks_made++, (condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
/* The status of a call, compared; says which one came instead. */
#define STATUS(call, wanted)                                                                                           \
    do {                                                                                                               \
        int32_t check_status = (call);                                                                                 \
        checks_made++;                                                                                                 \
        if (check_status != (wanted)) {                                                                                \
            fprintf(stderr, "status %" PRId32 ": %s\n", check_status, unbroken_error_text(check_status));              \
            check_failed(__FILE__, __LINE__, #call " gives " #wanted);                                                 \
        }                                                                                                              \
    } while (0)
#define OK(call) STATUS(call, UNBROKEN_OK)

static const char REALM[] = "c-tests";

/* The last error must speak of this. */
static inline void check_text(const char *part) {
    char text[600];
    size_t length = 0;
    OK(unbroken_last_error(text, sizeof text, &length));
    CHECK(strlen(text) == length);
    if (strstr(text, part) == NULL) {
        check_failed(__FILE__, __LINE__, part);
    }
}

static inline void constant_key(uint8_t key[32], uint8_t byte) {
    memset(key, byte, 32);
}

/* `pin` must outlive the configuration's use. */
static inline void client_config(unbroken_client_config *config, uint8_t pin[32]) {
    uint8_t secret[32];
    constant_key(secret, 7);
    OK(unbroken_public_key(secret, pin));
    OK(unbroken_client_config_init(config, sizeof *config));
    config->pins = pin;
    config->pin_count = 1;
    config->realm = (const uint8_t *)REALM;
    config->realm_len = sizeof REALM - 1;
}

/* `keys` becomes the server's key and the cluster key, and must outlive the configuration's use. */
static inline void server_config(unbroken_server_config *config, uint8_t keys[64]) {
    constant_key(keys, 7);
    constant_key(keys + 32, 9);
    OK(unbroken_server_config_init(config, sizeof *config));
    config->keys = keys;
    config->key_count = 1;
    config->cluster_key = keys + 32;
    config->realm = (const uint8_t *)REALM;
    config->realm_len = sizeof REALM - 1;
}

static inline unbroken_session *make_session(uint64_t now) {
    unbroken_client_config config;
    unbroken_session *session = NULL;
    uint8_t pin[32], seed[32];
    client_config(&config, pin);
    OK(unbroken_random_seed(seed));
    OK(unbroken_session_connect(&config, seed, now, &session));
    CHECK(session != NULL);
    return session;
}

static inline unbroken_endpoint *make_endpoint(uint64_t now) {
    unbroken_server_config config;
    unbroken_endpoint *endpoint = NULL;
    uint8_t keys[64], seed[32];
    server_config(&config, keys);
    OK(unbroken_random_seed(seed));
    OK(unbroken_endpoint_new(&config, seed, now, &endpoint));
    CHECK(endpoint != NULL);
    return endpoint;
}

static inline int32_t state_of(unbroken_session *session) {
    int32_t state = -1;
    OK(unbroken_session_state(session, &state));
    return state;
}

/* Message n of a stream: its number, then bytes that follow from it; lengths differ. */
static inline size_t fill_message(uint8_t *message, uint64_t number, size_t most) {
    size_t length = sizeof number + (size_t)(number * 7919 % (most - sizeof number));
    memcpy(message, &number, sizeof number);
    for (size_t i = sizeof number; i < length; i++) {
        message[i] = (uint8_t)(number + i);
    }
    return length;
}

static inline int is_message(const uint8_t *data, size_t length, uint64_t number, size_t most) {
    uint8_t *expected = (uint8_t *)malloc(most);
    CHECK(expected != NULL);
    int same = fill_message(expected, number, most) == length && memcmp(expected, data, length) == 0;
    free(expected);
    return same;
}

static inline void passed(const char *name) {
    printf("%s: %d checks\n", name, checks_made);
}

#endif
