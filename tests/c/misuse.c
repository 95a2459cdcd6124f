/* Every way to use the API wrongly that C allows gives an error and leaves everything as it was: rows F-50 to F-61 of the fault list.
 * Linked with a library that has the feature `testing`, for panics and failing randomness. */
#define _POSIX_C_SOURCE 200809L
#define UNBROKEN_TESTING 1
#include "check.h"

#include <pthread.h>
#include <time.h>

static const size_t OVER = (size_t)PTRDIFF_MAX + 1;

/* A reply of a kind, else empty. */
static unbroken_store_reply reply_of(int32_t kind) {
    unbroken_store_reply reply;
    OK(unbroken_store_reply_init(&reply, sizeof reply));
    CHECK(reply.kind == 0 && reply.struct_size == sizeof reply);
    reply.kind = kind;
    return reply;
}

/* An endpoint that has a store, and the request for its lease, which is the first. */
static unbroken_endpoint *make_stored(unbroken_store_request *request) {
    unbroken_server_config config;
    unbroken_endpoint *endpoint = NULL;
    uint8_t keys[64], seed[32];
    server_config(&config, keys);
    config.durability = UNBROKEN_DURABILITY_SWAP_OUT;
    constant_key(seed, 3);
    OK(unbroken_endpoint_new(&config, seed, 0, &endpoint));
    OK(unbroken_endpoint_handle_timeout(endpoint, 0));
    OK(unbroken_endpoint_poll_store(endpoint, request));
    CHECK(request->op == UNBROKEN_STORE_LEASE && request->life_us == 6000000);
    return endpoint;
}

static int store_is_up(unbroken_endpoint *endpoint) {
    int32_t up = -1;
    OK(unbroken_endpoint_store_is_up(endpoint, &up));
    return up;
}

/* Rows F-50 to F-61 for what concerns the store. */
static void store_misused(void) {
    unbroken_store_request request;
    unbroken_endpoint *endpoint = make_stored(&request);
    unbroken_session *session = make_session(0);
    unbroken_store_reply reply = reply_of(UNBROKEN_REPLY_DONE);
    unbroken_store_item item = {1, NULL, 1};
    uint8_t buffer[8] = {0}, id[16] = {1}, user[1025] = {0};
    const uint8_t *data = NULL;
    size_t length = 0;
    int32_t answer = 0;

    /* F-50 */
    STATUS(unbroken_endpoint_poll_store(NULL, &request), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_poll_store(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_store_data(endpoint, NULL, 1, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_store_data(endpoint, buffer, 1, NULL), UNBROKEN_ERR_NULL);
    OK(unbroken_endpoint_store_data(endpoint, NULL, 0, &length));
    CHECK(length == 0);
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, NULL, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_handle_store(NULL, request.id, &reply, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_owner(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_store_is_up(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_owes_store(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_poll_snapshot(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_save(endpoint, NULL, 0, NULL, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_save(endpoint, id, 1, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_retire(NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_turn_away(NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_stay(NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_event_user(endpoint, buffer, 1, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_recv_mail(endpoint, id, NULL, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_recv_mail(endpoint, id, &data, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_recv_mail(endpoint, NULL, &data, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_bind_user(endpoint, id, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_is_leaving(endpoint, id, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_has_room(endpoint, id, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_swap_out(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_kick(endpoint, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_kick(NULL, id, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_commit(endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_authorise_with(endpoint, id, 1, 0, NULL, 0, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_store_reply_init(NULL, sizeof reply), UNBROKEN_ERR_NULL);
    STATUS(unbroken_mail_note(NULL, buffer, 8, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_mail_note(id, NULL, 8, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_mail_note(id, buffer, 8, NULL), UNBROKEN_ERR_NULL);

    /* A reply that cannot be read changes nothing, and the request stays under way. */
    reply.len = 1, reply.kind = UNBROKEN_REPLY_PEEKED;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_NULL);
    reply.len = OVER, reply.data = buffer;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_LENGTH);
    reply.len = 0, reply.record = 4;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_ARGUMENT);
    check_text("4 is no unbroken_record");
    reply = reply_of(UNBROKEN_REPLY_NOTES), reply.item_count = 1;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_NULL);
    reply.items = &item;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_NULL);
    item.data = buffer, item.len = OVER;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_LENGTH);
    reply.item_count = SIZE_MAX / sizeof item;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_LENGTH);
    reply.kind = UNBROKEN_REPLY_MESSAGES, reply.item_count = SIZE_MAX;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_LENGTH);
    reply = reply_of(0);
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_ARGUMENT);
    reply = reply_of(11);
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_ARGUMENT);
    check_text("11 is no unbroken_store_reply_kind");
    reply = reply_of(UNBROKEN_REPLY_UNAVAILABLE), reply.struct_size--;
    STATUS(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0), UNBROKEN_ERR_STRUCT_SIZE);
    check_text("unbroken_store_reply");
    STATUS(unbroken_store_reply_init(&reply, 8), UNBROKEN_ERR_STRUCT_SIZE);
    CHECK(!store_is_up(endpoint));
    /* A number that was never given out is nobody's; the true one is heard, once. */
    reply = reply_of(UNBROKEN_REPLY_DONE);
    OK(unbroken_endpoint_handle_store(endpoint, UINT64_MAX, &reply, 0));
    CHECK(!store_is_up(endpoint));
    OK(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0));
    CHECK(store_is_up(endpoint));
    reply = reply_of(UNBROKEN_REPLY_UNAVAILABLE);
    OK(unbroken_endpoint_handle_store(endpoint, request.id, &reply, 0));
    CHECK(store_is_up(endpoint));

    /* F-51 */
    STATUS(unbroken_endpoint_store_data(endpoint, buffer, OVER, &length), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_event_user(endpoint, buffer, OVER, &length), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_save(endpoint, id, 1, buffer, OVER), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_session_bind_user(endpoint, id, user, sizeof user), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_session_authorise_with(endpoint, id, 1, 0, user, sizeof user, NULL, 0), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_session_authorise_with(endpoint, id, 1, 0, NULL, 0, user, OVER), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_mail_note(id, buffer, OVER, &length), UNBROKEN_ERR_LENGTH);

    /* F-53, and sessions that are not there. */
    STATUS(unbroken_endpoint_poll_store((unbroken_endpoint *)(void *)session, &request), UNBROKEN_ERR_KIND);
    STATUS(unbroken_endpoint_retire((unbroken_endpoint *)(void *)session), UNBROKEN_ERR_KIND);
    STATUS(unbroken_endpoint_poll_snapshot((unbroken_endpoint *)(void *)session, id), UNBROKEN_ERR_KIND);
    STATUS(unbroken_endpoint_session_recv_mail(endpoint, id, &data, &length), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_session_bind_user(endpoint, id, user, 1024), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_session_swap_out(endpoint, id), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_session_commit(endpoint, id), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_session_is_leaving(endpoint, id, &answer), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_session_has_room(endpoint, id, &answer), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_session_authorise_with(endpoint, id, 1, 0, NULL, 0, NULL, 0), UNBROKEN_ERR_UNKNOWN_SESSION);
    STATUS(unbroken_endpoint_save(endpoint, id, 1, NULL, 0), UNBROKEN_EMPTY);
    STATUS(unbroken_endpoint_poll_snapshot(endpoint, id), UNBROKEN_EMPTY);

    /* F-58 */
    STATUS(unbroken_mail_note(id, buffer, 8, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
    CHECK(length > 8 && length <= 512);

    /* F-59, F-52 */
    STATUS(unbroken_testing_panic_endpoint(endpoint), UNBROKEN_ERR_PANIC);
    STATUS(unbroken_endpoint_poll_store(endpoint, &request), UNBROKEN_ERR_POISONED);
    STATUS(unbroken_endpoint_handle_store(endpoint, 0, &reply, 0), UNBROKEN_ERR_POISONED);
    OK(unbroken_endpoint_free(endpoint));
    STATUS(unbroken_endpoint_poll_store(endpoint, &request), UNBROKEN_ERR_HANDLE);
    STATUS(unbroken_endpoint_handle_store(endpoint, 0, &reply, 0), UNBROKEN_ERR_HANDLE);
    OK(unbroken_session_free(session));
}

/* An endpoint without a store has nothing to say of one, and takes everything. */
static void no_store(void) {
    unbroken_endpoint *endpoint = make_endpoint(0);
    unbroken_store_request request;
    unbroken_store_reply reply = reply_of(UNBROKEN_REPLY_DONE);
    uint8_t owner[16], zeros[16] = {0};
    int32_t owes = -1;
    memset(owner, 1, sizeof owner);
    STATUS(unbroken_endpoint_poll_store(endpoint, &request), UNBROKEN_EMPTY);
    STATUS(unbroken_endpoint_poll_snapshot(endpoint, owner), UNBROKEN_EMPTY);
    STATUS(unbroken_endpoint_owner(endpoint, owner), UNBROKEN_EMPTY);
    CHECK(memcmp(owner, zeros, sizeof owner) == 0 && !store_is_up(endpoint));
    OK(unbroken_endpoint_owes_store(endpoint, &owes));
    CHECK(owes == 0);
    OK(unbroken_endpoint_handle_store(endpoint, 0, &reply, 0));
    OK(unbroken_endpoint_retire(endpoint));
    OK(unbroken_endpoint_turn_away(endpoint));
    OK(unbroken_endpoint_stay(endpoint));
    OK(unbroken_endpoint_free(endpoint));
}

static void f50_null_pointers(void) {
    unbroken_session *session = make_session(0);
    unbroken_endpoint *endpoint = make_endpoint(0);
    unbroken_loopback *loopback = NULL;
    unbroken_client_config client;
    uint8_t buffer[UNBROKEN_MIN_BUFFER], pin[32], seed[32], id[16] = {1};
    const uint8_t *data = NULL;
    size_t length = 0;
    uint32_t shard = 0;
    unbroken_output output;
    unbroken_event event;
    unbroken_stats stats;
    int32_t state = 0;
    uint64_t time = 0;
    client_config(&client, pin);
    constant_key(seed, 1);

    unbroken_session *none = session;
    STATUS(unbroken_session_connect(NULL, seed, 0, &none), UNBROKEN_ERR_NULL);
    CHECK(none == NULL);
    STATUS(unbroken_session_connect(&client, NULL, 0, &none), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_connect(&client, seed, 0, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_handle_link_up(NULL, 0, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_handle_input(NULL, 0, buffer, 1, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_handle_input(session, 0, NULL, 1, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_send(session, NULL, 1, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_send_unreliable(session, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_recv(session, NULL, &length, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_recv(session, &data, NULL, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_poll_output(session, NULL, 1000, 0, &output), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_poll_output(session, buffer, sizeof buffer, 0, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_poll_event(session, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_event_data(session, NULL, 1, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_event_data(session, buffer, 1, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_poll_timeout(session, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_state(session, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_id(session, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_acked(session, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_stats(session, NULL, sizeof stats), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_stats(session, NULL, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_link_health(session, NULL, 16), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_link_health(session, NULL, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_session_state(NULL, &state), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_new(NULL, seed, 0, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_handle_input(endpoint, 0, NULL, 1, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_send(endpoint, NULL, buffer, 1, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_recv(endpoint, id, NULL, NULL, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_session_authorise(endpoint, id, 1, 0, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_poll_event(NULL, &event), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_poll_timeout(NULL, &time), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_drain(endpoint, 0, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_announce_keys(endpoint, NULL, NULL, 1), UNBROKEN_ERR_NULL);
    STATUS(unbroken_endpoint_counters(endpoint, NULL, 8), UNBROKEN_ERR_NULL);
    STATUS(unbroken_loopback_new(NULL, endpoint, &loopback), UNBROKEN_ERR_NULL);
    STATUS(unbroken_loopback_new(session, endpoint, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_loopback_step(NULL, 0), UNBROKEN_ERR_NULL);
    STATUS(unbroken_random_seed(NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_public_key(NULL, pin), UNBROKEN_ERR_NULL);
    STATUS(unbroken_public_key(pin, NULL), UNBROKEN_ERR_NULL);
    STATUS(unbroken_route(NULL, 1, buffer, 1, &shard), UNBROKEN_ERR_NULL);
    STATUS(unbroken_route(pin, 1, NULL, 1, &shard), UNBROKEN_ERR_NULL);
    STATUS(unbroken_limits_init(NULL, sizeof(unbroken_limits)), UNBROKEN_ERR_NULL);
    STATUS(unbroken_last_error(NULL, 1, &length), UNBROKEN_ERR_NULL);
    STATUS(unbroken_last_error(NULL, 0, NULL), UNBROKEN_ERR_NULL);

    /* Null with length 0 is an empty slice, and freeing null is nothing. */
    OK(unbroken_session_handle_input(session, 0, NULL, 0, 0));
    OK(unbroken_session_send(session, NULL, 0, NULL));
    OK(unbroken_session_event_data(session, NULL, 0, &length));
    CHECK(length == 0);
    STATUS(unbroken_session_poll_output(session, NULL, 0, 0, &output), UNBROKEN_ERR_BUFFER_TOO_SMALL);
    OK(unbroken_session_free(NULL));
    OK(unbroken_endpoint_free(NULL));
    OK(unbroken_loopback_free(NULL));
    OK(unbroken_session_free(session));
    OK(unbroken_endpoint_free(endpoint));
}

static void f51_impossible_lengths(void) {
    unbroken_session *session = make_session(0);
    unbroken_endpoint *endpoint = make_endpoint(0);
    unbroken_output output;
    uint8_t byte = 0, id[16] = {0};
    size_t length = 0;
    STATUS(unbroken_session_handle_input(session, 0, &byte, OVER, 0), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_session_handle_input(session, 0, NULL, SIZE_MAX, 0), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_session_send(session, &byte, OVER, NULL), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_session_send_unreliable(session, &byte, SIZE_MAX), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_session_poll_output(session, &byte, SIZE_MAX, 0, &output), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_session_event_data(session, &byte, OVER, &length), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_session_send(endpoint, id, &byte, OVER, NULL), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_handle_input(endpoint, 0, &byte, OVER, 0), UNBROKEN_ERR_LENGTH);
    uint8_t long_address[300];
    memset(long_address, 'a', sizeof long_address);
    STATUS(unbroken_endpoint_drain(endpoint, 0, long_address, sizeof long_address), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_announce_keys(endpoint, &byte, NULL, 5), UNBROKEN_ERR_LENGTH);
    STATUS(unbroken_endpoint_announce_keys(endpoint, &byte, NULL, SIZE_MAX), UNBROKEN_ERR_LENGTH);
    OK(unbroken_session_free(session));
    OK(unbroken_endpoint_free(endpoint));
}

static void f52_use_after_free(void) {
    int32_t state = 0;
    unbroken_session *old = make_session(0);
    OK(unbroken_session_free(old));
    STATUS(unbroken_session_state(old, &state), UNBROKEN_ERR_HANDLE);
    STATUS(unbroken_session_free(old), UNBROKEN_ERR_HANDLE);
    /* The place is used again, the name is not. */
    for (int i = 0; i < 100; i++) {
        unbroken_session *young = make_session(0);
        CHECK(young != old);
        STATUS(unbroken_session_send(old, NULL, 0, NULL), UNBROKEN_ERR_HANDLE);
        OK(unbroken_session_state(young, &state));
        OK(unbroken_session_free(young));
    }
    /* Addresses and nonsense are no names. */
    STATUS(unbroken_session_state((unbroken_session *)(void *)&state, &state), UNBROKEN_ERR_HANDLE);
    STATUS(unbroken_session_state((unbroken_session *)(uintptr_t)1, &state), UNBROKEN_ERR_HANDLE);
    STATUS(unbroken_session_state((unbroken_session *)UINTPTR_MAX, &state), UNBROKEN_ERR_HANDLE);
}

static void f53_wrong_kind(void) {
    unbroken_session *session = make_session(0);
    unbroken_endpoint *endpoint = make_endpoint(0);
    unbroken_loopback *loopback = NULL;
    int32_t state = 0;
    STATUS(unbroken_session_state((unbroken_session *)(void *)endpoint, &state), UNBROKEN_ERR_KIND);
    STATUS(unbroken_session_disconnect((unbroken_session *)(void *)endpoint, 0), UNBROKEN_ERR_KIND);
    STATUS(unbroken_endpoint_handle_timeout((unbroken_endpoint *)(void *)session, 0), UNBROKEN_ERR_KIND);
    STATUS(unbroken_endpoint_free((unbroken_endpoint *)(void *)session), UNBROKEN_ERR_KIND);
    STATUS(unbroken_session_free((unbroken_session *)(void *)endpoint), UNBROKEN_ERR_KIND);
    STATUS(unbroken_loopback_new((unbroken_session *)(void *)endpoint, endpoint, &loopback), UNBROKEN_ERR_KIND);
    CHECK(loopback == NULL);
    STATUS(unbroken_session_handle_network(session, 0, 0, 0), UNBROKEN_ERR_ARGUMENT);
    STATUS(unbroken_session_handle_network(session, 6, 0, 0), UNBROKEN_ERR_ARGUMENT);
    uint8_t id[16] = {3};
    STATUS(unbroken_endpoint_session_close(endpoint, id, 0), UNBROKEN_ERR_UNKNOWN_SESSION);
    OK(unbroken_session_free(session));
    OK(unbroken_endpoint_free(endpoint));
}

static void *occupy(void *session) {
    OK(unbroken_testing_occupy_session((unbroken_session *)session, 1000));
    return NULL;
}

static void f54_two_threads(void) {
    unbroken_session *session = make_session(0), *other = make_session(0);
    pthread_t thread;
    int32_t state = 0, status = UNBROKEN_OK;
    struct timespec pause = {0, 2000000};
    CHECK(pthread_create(&thread, NULL, occupy, session) == 0);
    /* The other thread may get a processor late, and this one its own again. */
    for (int i = 0; i < 10000 && status == UNBROKEN_OK; i++) {
        nanosleep(&pause, NULL);
        status = unbroken_session_state(session, &state);
    }
    STATUS(status, UNBROKEN_ERR_BUSY);
    STATUS(unbroken_session_free(session), UNBROKEN_ERR_BUSY);
    OK(unbroken_session_state(other, &state));
    CHECK(pthread_join(thread, NULL) == 0);
    OK(unbroken_session_state(session, &state));
    OK(unbroken_session_free(session));
    OK(unbroken_session_free(other));
}

static void f55_after_disconnect(void) {
    unbroken_session *session = make_session(0);
    const uint8_t *data = NULL;
    size_t length = 0;
    int64_t id = 0;
    OK(unbroken_session_disconnect(session, 1));
    STATUS(unbroken_session_send(session, (const uint8_t *)"x", 1, NULL), UNBROKEN_ERR_CLOSED);
    STATUS(unbroken_session_send_unreliable(session, (const uint8_t *)"x", 1), UNBROKEN_ERR_CLOSED);
    STATUS(unbroken_session_recv(session, &data, &length, &id), UNBROKEN_EMPTY);
    CHECK(length == 0 && id == -1);
    OK(unbroken_session_disconnect(session, 2));
    OK(unbroken_session_free(session));
}

static void f57_old_links(void) {
    unbroken_session *session = make_session(0);
    unbroken_endpoint *endpoint = make_endpoint(0);
    const uint8_t bytes[4] = {1, 2, 3, 4};
    OK(unbroken_session_handle_input(session, 77, bytes, sizeof bytes, 0));
    OK(unbroken_session_handle_link_up(session, 77, 0));
    OK(unbroken_session_handle_link_down(session, 77, 0));
    OK(unbroken_session_handle_link_blocked(session, 77));
    OK(unbroken_session_handle_link_writable(session, 77));
    OK(unbroken_endpoint_handle_input(endpoint, 77, bytes, sizeof bytes, 0));
    OK(unbroken_endpoint_handle_link_down(endpoint, 77, 0));
    OK(unbroken_endpoint_handle_link_blocked(endpoint, 77));
    OK(unbroken_endpoint_handle_link_writable(endpoint, 77));
    OK(unbroken_session_free(session));
    OK(unbroken_endpoint_free(endpoint));
}

static void f58_small_buffers(void) {
    unbroken_session *session = make_session(0);
    uint8_t buffer[UNBROKEN_MIN_BUFFER];
    unbroken_output output;
    memset(&output, 0, sizeof output);
    STATUS(unbroken_session_poll_output(session, buffer, sizeof buffer - 1, 0, &output), UNBROKEN_ERR_BUFFER_TOO_SMALL);
    CHECK(output.len == UNBROKEN_MIN_BUFFER && output.kind == 0);
    OK(unbroken_session_poll_output(session, buffer, sizeof buffer, 0, &output));
    CHECK(output.kind == UNBROKEN_OUTPUT_OPEN_LINK && output.link == 0 && output.len == 0 && output.has_network == 0);
    STATUS(unbroken_session_poll_output(session, buffer, sizeof buffer, 0, &output), UNBROKEN_EMPTY);

    char text[512];
    size_t length = 0;
    STATUS(unbroken_session_handle_network(session, 99, 0, 0), UNBROKEN_ERR_ARGUMENT);
    STATUS(unbroken_last_error(text, 3, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
    CHECK(length == strlen("99 is no unbroken_network_event"));
    STATUS(unbroken_last_error(text, length, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
    OK(unbroken_last_error(text, length + 1, &length));
    CHECK(strcmp(text, "99 is no unbroken_network_event") == 0);
    OK(unbroken_session_free(session));
}

static void f59_panic(void) {
    unbroken_session *session = make_session(0);
    unbroken_endpoint *endpoint = make_endpoint(0);
    unbroken_loopback *loopback = NULL;
    int32_t state = 0;
    OK(unbroken_loopback_new(session, endpoint, &loopback));
    STATUS(unbroken_testing_panic_session(session), UNBROKEN_ERR_PANIC);
    check_text("as the test wants");
    STATUS(unbroken_session_state(session, &state), UNBROKEN_ERR_POISONED);
    STATUS(unbroken_loopback_step(loopback, 0), UNBROKEN_ERR_POISONED);
    OK(unbroken_endpoint_handle_timeout(endpoint, 0));
    STATUS(unbroken_testing_panic_endpoint(endpoint), UNBROKEN_ERR_PANIC);
    STATUS(unbroken_endpoint_handle_timeout(endpoint, 0), UNBROKEN_ERR_POISONED);
    OK(unbroken_session_free(session));
    STATUS(unbroken_session_free(session), UNBROKEN_ERR_HANDLE);
    OK(unbroken_endpoint_free(endpoint));
    OK(unbroken_loopback_free(loopback));
    /* The place of a poisoned object is as good as new. */
    session = make_session(0);
    OK(unbroken_session_state(session, &state));
    OK(unbroken_session_free(session));
}

static void f60_no_randomness(void) {
    unbroken_client_config config;
    unbroken_session *session = NULL;
    uint8_t pin[32], seed[32];
    client_config(&config, pin);
    memset(seed, 1, sizeof seed);
    unbroken_testing_random_fails(1);
    STATUS(unbroken_random_seed(seed), UNBROKEN_ERR_RANDOM);
    check_text("random");
    unbroken_testing_random_fails(0);
    /* Who does not look at the status has a seed of zeros, and gets no further. */
    STATUS(unbroken_session_connect(&config, seed, 0, &session), UNBROKEN_ERR_RANDOM);
    CHECK(session == NULL);
    uint8_t again[32];
    OK(unbroken_random_seed(seed));
    OK(unbroken_random_seed(again));
    CHECK(memcmp(seed, again, 32) != 0);
}

static void refused_client(const unbroken_client_config *config, const char *field) {
    unbroken_session *session = NULL;
    uint8_t seed[32];
    constant_key(seed, 1);
    STATUS(unbroken_session_connect(config, seed, 0, &session), UNBROKEN_ERR_CONFIG);
    CHECK(session == NULL);
    check_text(field);
}

static void refused_server(const unbroken_server_config *config, const char *field) {
    unbroken_endpoint *endpoint = NULL;
    uint8_t seed[32];
    constant_key(seed, 1);
    STATUS(unbroken_endpoint_new(config, seed, 0, &endpoint), UNBROKEN_ERR_CONFIG);
    CHECK(endpoint == NULL);
    check_text(field);
}

static void f61_configuration(void) {
    unbroken_client_config client, good;
    unbroken_limits limits;
    unbroken_timing timing;
    unbroken_backoff backoff;
    uint8_t pin[32], zeros[8193] = {0};
    client_config(&good, pin);
    OK(unbroken_limits_init(&limits, sizeof limits));
    OK(unbroken_timing_init(&timing, sizeof timing));
    OK(unbroken_backoff_init(&backoff, sizeof backoff));

    client = good, client.pin_count = 0;
    refused_client(&client, "`pins`");
    client = good, client.pin_count = 9;
    refused_client(&client, "`pins`");
    client = good, client.pins = NULL;
    refused_client(&client, "`pins`");
    client = good, client.pins = zeros;
    refused_client(&client, "`pins`");
    client = good, client.realm = zeros, client.realm_len = 256;
    refused_client(&client, "`realm`");
    client = good, client.credential = zeros, client.credential_len = 8193;
    refused_client(&client, "`credential`");
    client = good, client.limits = &limits, limits.message = 1023;
    refused_client(&client, "`limits.message`");
    OK(unbroken_limits_init(&limits, sizeof limits));
    limits.handshake_ms = 99;
    refused_client(&client, "`limits.handshake_ms`");
    client = good, client.timing = &timing, timing.ack_delay_ms = 501;
    refused_client(&client, "`timing.ack_delay_ms`");
    client = good, client.backoff = &backoff, backoff.cap_ms = backoff.base_ms - 1;
    refused_client(&client, "`backoff.cap_ms`");

    unbroken_server_config server, fine;
    uint8_t keys[64];
    server_config(&fine, keys);
    server = fine, server.keys = zeros;
    refused_server(&server, "`keys`");
    server = fine, server.cluster_key = NULL;
    refused_server(&server, "`cluster_key`");
    server = fine, server.cluster_key = zeros;
    refused_server(&server, "`cluster_key`");
    server = fine, server.address = (const uint8_t *)"\xff\xfe", server.address_len = 2;
    refused_server(&server, "`address`");
    server = fine, server.address = zeros, server.address_len = 256;
    refused_server(&server, "`address`");
    server = fine, server.shard_count = 0;
    refused_server(&server, "`shard_index`");
    server = fine, server.shard_index = 4, server.shard_count = 4;
    refused_server(&server, "`shard_index`");
    server = fine, server.durability = 3;
    refused_server(&server, "`durability`");
    server = fine, server.durability = -1;
    refused_server(&server, "`durability`");
    server = fine, server.older_cluster_count = 1;
    refused_server(&server, "`older_cluster_keys`");
    server.older_cluster_keys = zeros;
    refused_server(&server, "`older_cluster_keys`");
    uint8_t older[8 * 32];
    memset(older, 5, sizeof older);
    server.older_cluster_keys = older, server.older_cluster_count = 9;
    refused_server(&server, "`older_cluster_keys`");
    server.older_cluster_count = 8;
    refused_server(&server, "`older_cluster_keys`");
    OK(unbroken_limits_init(&limits, sizeof limits));
    server = fine, server.limits = &limits, limits.snapshot = (64 << 10) - 1;
    refused_server(&server, "`limits.snapshot`");
    OK(unbroken_timing_init(&timing, sizeof timing));
    server = fine, server.timing = &timing, timing.lease_ms = 999;
    refused_server(&server, "`timing.lease_ms`");
    uint8_t first[UNBROKEN_ROUTE_NEEDED] = {0};
    uint32_t shard = 0;
    STATUS(unbroken_route(zeros, 1, first, sizeof first, &shard), UNBROKEN_ERR_CONFIG);
    STATUS(unbroken_route(keys, 0, first, sizeof first, &shard), UNBROKEN_ERR_ARGUMENT);
    OK(unbroken_route(keys, 4, first, sizeof first, &shard));
    CHECK(shard == UNBROKEN_ANY_SHARD);
    STATUS(unbroken_public_key(zeros, first), UNBROKEN_ERR_CONFIG);
    STATUS(unbroken_route_among(older, 0, 4, first, sizeof first, &shard), UNBROKEN_ERR_CONFIG);
    STATUS(unbroken_route_among(older, 9, 4, first, sizeof first, &shard), UNBROKEN_ERR_CONFIG);
    STATUS(unbroken_route_among(older, 2, 0, first, sizeof first, &shard), UNBROKEN_ERR_ARGUMENT);
    STATUS(unbroken_route_among(older, 2, 4, first, sizeof first, NULL), UNBROKEN_ERR_NULL);

    /* Who was compiled before the store knew smaller structs, and gets what there was. */
    unbroken_endpoint *old = NULL;
    unbroken_store_request nothing;
    uint8_t any[32];
    constant_key(any, 1);
    server = fine, server.durability = UNBROKEN_DURABILITY_SWAP_OUT;
    server.struct_size = (uint32_t)offsetof(unbroken_server_config, durability);
    OK(unbroken_limits_init(&limits, offsetof(unbroken_limits, snapshot)));
    OK(unbroken_timing_init(&timing, offsetof(unbroken_timing, lease_ms)));
    limits.snapshot = 0, timing.lease_ms = 0, server.limits = &limits, server.timing = &timing;
    OK(unbroken_endpoint_new(&server, any, 0, &old));
    STATUS(unbroken_endpoint_poll_store(old, &nothing), UNBROKEN_EMPTY);
    OK(unbroken_endpoint_free(old));
    /* A size between those ends within a field: half of a pointer would be taken for one. */
    for (size_t size = 4; size < sizeof server; size++) {
        server = fine, server.older_cluster_keys = older, server.older_cluster_count = 1;
        server.struct_size = (uint32_t)size;
        if (size != offsetof(unbroken_server_config, durability)) {
            STATUS(unbroken_endpoint_new(&server, any, 0, &old), UNBROKEN_ERR_STRUCT_SIZE);
            check_text("unbroken_server_config.struct_size");
            STATUS(unbroken_server_config_init(&server, size), UNBROKEN_ERR_STRUCT_SIZE);
        }
    }

    /* Sizes: older ones than the first do not exist; of later ones only what is zero can be understood. */
    struct {
        unbroken_client_config config;
        uint64_t later;
    } newer;
    unbroken_session *session = NULL;
    uint8_t seed[32];
    constant_key(seed, 1);
    client = good, client.struct_size = sizeof client - 1;
    STATUS(unbroken_session_connect(&client, seed, 0, &session), UNBROKEN_ERR_STRUCT_SIZE);
    check_text("unbroken_client_config");
    memset(&client, 0, sizeof client);
    STATUS(unbroken_session_connect(&client, seed, 0, &session), UNBROKEN_ERR_STRUCT_SIZE);
    memset(&newer, 0xee, sizeof newer);
    OK(unbroken_client_config_init(&newer.config, sizeof newer));
    CHECK(newer.later == 0 && newer.config.struct_size == sizeof newer);
    newer.config.pins = pin;
    newer.config.pin_count = 1;
    OK(unbroken_session_connect(&newer.config, seed, 0, &session));
    OK(unbroken_session_free(session));
    newer.later = 1;
    STATUS(unbroken_session_connect(&newer.config, seed, 0, &session), UNBROKEN_ERR_STRUCT_SIZE);
    STATUS(unbroken_client_config_init(&client, 8), UNBROKEN_ERR_STRUCT_SIZE);
    /* Results are cut to what the caller knows, and zero beyond what the library knows. */
    struct {
        unbroken_stats stats;
        uint64_t later;
    } more;
    session = make_session(0);
    memset(&more, 0xee, sizeof more);
    OK(unbroken_session_stats(session, &more.stats, sizeof more));
    CHECK(more.later == 0 && more.stats.rtt_us == UINT64_MAX);
    memset(&more, 0xee, sizeof more);
    OK(unbroken_session_stats(session, &more.stats, 8));
    CHECK(more.stats.sent_messages == 0 && more.stats.sent_bytes != 0);
    struct {
        unbroken_link_health known;
        uint64_t later;
    } health;
    memset(&health, 0xee, sizeof health);
    OK(unbroken_session_link_health(session, &health.known, sizeof health));
    CHECK(health.later == 0 && health.known.health == UNBROKEN_HEALTH_IDLE);
    memset(&health, 0xee, sizeof health);
    OK(unbroken_session_link_health(session, &health.known, 4));
    CHECK(health.known.health == UNBROKEN_HEALTH_IDLE && health.known.has_network != 0);
    OK(unbroken_session_free(session));
}

static void texts(void) {
    for (int32_t status = -21; status <= 1; status++) {
        CHECK(strcmp(unbroken_error_text(status), "unknown status") != 0);
    }
    CHECK(strcmp(unbroken_error_text(-22), "unknown status") == 0);
    CHECK(strcmp(unbroken_error_text(INT32_MIN), "unknown status") == 0);
}

int main(void) {
    f50_null_pointers();
    f51_impossible_lengths();
    f52_use_after_free();
    f53_wrong_kind();
    f54_two_threads();
    f55_after_disconnect();
    f57_old_links();
    f58_small_buffers();
    f59_panic();
    f60_no_randomness();
    f61_configuration();
    store_misused();
    no_store();
    texts();
    passed("misuse");
    return 0;
}
