/* A client and a server in one program, without a socket: authorisation, messages both ways through many cuts, every verb, and the end. */
#include "check.h"

enum { MESSAGES = 400, MOST = 3000 };

/* What differs between the tests. */
typedef struct {
    const unbroken_limits *limits;
    int ask_on_resume, refuse;
    const char *address;
} options;

typedef struct {
    options asked;
    unbroken_session *session;
    unbroken_endpoint *endpoint;
    unbroken_loopback *loopback;
    uint64_t now;
    uint8_t id[16];
    int established, handovers_begun, handovers_ended, failed, closed, server_closed, turned_away, readable, writable, resumes, draining;
    int32_t reason, server_reason;
    uint32_t code, server_code;
    uint64_t at_client, at_server;
} world;

static void session_events(world *w) {
    unbroken_event event;
    while (unbroken_session_poll_event(w->session, &event) == UNBROKEN_OK) {
        switch (event.kind) {
        case UNBROKEN_EVENT_ESTABLISHED: {
            uint8_t data[16], id[16];
            size_t length = 0;
            CHECK(event.data_len == 7);
            STATUS(unbroken_session_event_data(w->session, data, 6, &length), UNBROKEN_ERR_BUFFER_TOO_SMALL);
            CHECK(length == 7);
            OK(unbroken_session_event_data(w->session, data, sizeof data, &length));
            CHECK(length == 7 && memcmp(data, "welcome", 7) == 0);
            OK(unbroken_session_id(w->session, id));
            CHECK(memcmp(id, event.session, 16) == 0);
            w->established++;
            break;
        }
        case UNBROKEN_EVENT_REFUSED: {
            uint8_t data[16];
            size_t length = 0;
            OK(unbroken_session_event_data(w->session, data, sizeof data, &length));
            CHECK(event.code == 77 && length == 7 && memcmp(data, "welcome", 7) == 0);
            w->turned_away++;
            break;
        }
        case UNBROKEN_EVENT_HANDOVER_BEGIN: w->handovers_begun++; break;
        case UNBROKEN_EVENT_HANDOVER_END: w->handovers_ended++; break;
        case UNBROKEN_EVENT_HANDOVER_FAILED:
            w->failed++;
            w->reason = event.fail;
            break;
        case UNBROKEN_EVENT_WRITABLE: w->writable++; break;
        case UNBROKEN_EVENT_DRAINING: w->draining++; break;
        case UNBROKEN_EVENT_CLOSED:
            w->closed++;
            w->reason = event.close;
            w->code = event.code;
            break;
        default: break;
        }
    }
}

static void endpoint_events(world *w) {
    unbroken_event event;
    while (unbroken_endpoint_poll_event(w->endpoint, &event) == UNBROKEN_OK) {
        switch (event.kind) {
        case UNBROKEN_EVENT_AUTHORISE: {
            uint8_t data[64];
            size_t length = 0;
            OK(unbroken_endpoint_event_data(w->endpoint, data, sizeof data, &length));
            CHECK(length == 6 && memcmp(data, "ticket", 6) == 0);
            memcpy(w->id, event.session, 16);
            OK(unbroken_endpoint_session_authorise(w->endpoint, w->id, !w->asked.refuse, 77, (const uint8_t *)"welcome", 7));
            STATUS(unbroken_endpoint_session_authorise(w->endpoint, w->id, 1, 0, NULL, 0), UNBROKEN_EMPTY);
            break;
        }
        case UNBROKEN_EVENT_RESUME_REQUEST:
            w->resumes++;
            OK(unbroken_endpoint_session_answer_resume(w->endpoint, event.session, !w->asked.refuse, 78));
            STATUS(unbroken_endpoint_session_answer_resume(w->endpoint, event.session, 1, 0),
                   w->asked.refuse ? UNBROKEN_ERR_UNKNOWN_SESSION : UNBROKEN_EMPTY);
            break;
        case UNBROKEN_EVENT_READABLE: w->readable++; break;
        case UNBROKEN_EVENT_CLOSED:
            w->server_closed++;
            w->server_reason = event.close;
            w->server_code = event.code;
            break;
        default: break;
        }
    }
}

static void receive(world *w) {
    const uint8_t *data = NULL;
    size_t length = 0;
    int64_t number = 0;
    while (unbroken_session_recv(w->session, &data, &length, &number) == UNBROKEN_OK) {
        if (number >= 0) {
            CHECK(number == (int64_t)w->at_client && is_message(data, length, w->at_client, MOST));
            w->at_client++;
        } else {
            CHECK(length == 4 && memcmp(data, "ping", 4) == 0);
        }
    }
    while (unbroken_endpoint_session_recv(w->endpoint, w->id, &data, &length, &number) == UNBROKEN_OK) {
        if (number >= 0) {
            CHECK(number == (int64_t)w->at_server && is_message(data, length, w->at_server, MOST));
            w->at_server++;
        } else {
            CHECK(length == 4 && memcmp(data, "pong", 4) == 0);
        }
    }
}

/* Some trips, each taking a millisecond. */
static void go(world *w, int steps) {
    for (int i = 0; i < steps; i++) {
        CHECK(unbroken_loopback_step(w->loopback, w->now) >= 0);
        session_events(w);
        endpoint_events(w);
        receive(w);
        w->now += 1000;
    }
}

/* Until the session runs again. */
static void settle(world *w) {
    for (int i = 0; i < 5000 && (i == 0 || state_of(w->session) != UNBROKEN_STATE_ESTABLISHED); i++) {
        go(w, 1);
    }
    CHECK(state_of(w->session) == UNBROKEN_STATE_ESTABLISHED);
}

static void begin(world *w, options asked) {
    unbroken_client_config client;
    unbroken_server_config server;
    unbroken_backoff backoff;
    unbroken_timing timing;
    uint8_t pin[32], keys[64], seed[32];
    memset(w, 0, sizeof *w);
    w->asked = asked;
    w->now = 1000000;
    client_config(&client, pin);
    client.credential = (const uint8_t *)"ticket";
    client.credential_len = 6;
    OK(unbroken_backoff_init(&backoff, sizeof backoff));
    CHECK(backoff.base_ms == 100 && backoff.struct_size == sizeof backoff);
    backoff.base_ms = 5;
    backoff.give_up_after_ms = 2000;
    OK(unbroken_timing_init(&timing, sizeof timing));
    client.backoff = &backoff;
    client.timing = &timing;
    client.limits = asked.limits;
    server_config(&server, keys);
    server.shard_index = 2;
    server.shard_count = 4;
    server.ask_on_resume = (uint8_t)asked.ask_on_resume;
    if (asked.address != NULL) {
        server.address = (const uint8_t *)asked.address;
        server.address_len = strlen(asked.address);
    }
    /* Constant seeds: every run is the same. */
    constant_key(seed, 1);
    OK(unbroken_session_connect(&client, seed, w->now, &w->session));
    constant_key(seed, 2);
    OK(unbroken_endpoint_new(&server, seed, w->now, &w->endpoint));
    OK(unbroken_loopback_new(w->session, w->endpoint, &w->loopback));
    STATUS(unbroken_session_id(w->session, seed), UNBROKEN_EMPTY);
    go(w, 12);
    if (asked.refuse && !asked.ask_on_resume) {
        return;
    }
    CHECK(w->established == 1);
    CHECK(state_of(w->session) == UNBROKEN_STATE_ESTABLISHED);
    int32_t state = -1;
    OK(unbroken_endpoint_session_state(w->endpoint, w->id, &state));
    CHECK(state == UNBROKEN_STATE_ESTABLISHED);
}

static void end(world *w) {
    OK(unbroken_loopback_free(w->loopback));
    OK(unbroken_session_free(w->session));
    OK(unbroken_endpoint_free(w->endpoint));
}

static void through_cuts(void) {
    world w;
    uint8_t message[MOST];
    options asked = {NULL, 1, 0, NULL};
    begin(&w, asked);
    for (uint64_t n = 0; n < MESSAGES; n++) {
        uint64_t number = 99;
        OK(unbroken_session_send(w.session, message, fill_message(message, n, MOST), &number));
        CHECK(number == n);
        OK(unbroken_endpoint_session_send(w.endpoint, w.id, message, fill_message(message, n, MOST), NULL));
        go(&w, (int)(n % 3));
        if (n % 20 == 10) {
            OK(unbroken_loopback_cut(w.loopback, w.now));
            STATUS(unbroken_loopback_cut(w.loopback, w.now), UNBROKEN_EMPTY);
            settle(&w);
        }
    }
    go(&w, 200);
    CHECK(w.at_client == MESSAGES && w.at_server == MESSAGES);
    CHECK(w.handovers_begun >= 20 && w.handovers_begun == w.handovers_ended && w.resumes >= 20 && w.readable > 0);

    unbroken_stats stats;
    OK(unbroken_session_stats(w.session, &stats, sizeof stats));
    CHECK(stats.sent_messages == MESSAGES && stats.received_messages == MESSAGES && stats.handovers >= 20);
    CHECK(stats.unacked_messages == 0 && stats.replayed_messages > 0 && stats.rtt_us != UINT64_MAX);
    OK(unbroken_endpoint_session_stats(w.endpoint, w.id, &stats, sizeof stats));
    CHECK(stats.sent_messages == MESSAGES);
    unbroken_counters counters;
    OK(unbroken_endpoint_counters(w.endpoint, &counters, sizeof counters));
    CHECK(counters.now_sessions == 1 && counters.now_links == 1 && counters.resumes >= 20 && counters.bad_records == 0);

    uint64_t acked = 0;
    OK(unbroken_session_acked(w.session, &acked));
    CHECK(acked == MESSAGES);

    OK(unbroken_session_send_unreliable(w.session, (const uint8_t *)"pong", 4));
    OK(unbroken_endpoint_session_send_unreliable(w.endpoint, w.id, (const uint8_t *)"ping", 4));
    go(&w, 5);

    OK(unbroken_session_send(w.session, message, fill_message(message, MESSAGES, MOST), NULL));
    OK(unbroken_session_disconnect(w.session, 42));
    STATUS(unbroken_session_send(w.session, message, 1, NULL), UNBROKEN_ERR_CLOSED);
    go(&w, 200);
    CHECK(w.at_server == MESSAGES + 1);
    CHECK(w.closed == 1 && w.reason == UNBROKEN_CLOSE_LOCAL && w.code == 42);
    CHECK(w.server_closed == 1 && w.server_reason == UNBROKEN_CLOSE_PEER && w.server_code == 42);
    CHECK(state_of(w.session) == UNBROKEN_STATE_CLOSED);
    STATUS(unbroken_endpoint_session_send(w.endpoint, w.id, message, 1, NULL), UNBROKEN_ERR_UNKNOWN_SESSION);
    end(&w);
}

static void full_and_room_again(void) {
    world w;
    unbroken_limits limits;
    uint8_t message[1024];
    memset(message, 1, sizeof message);
    OK(unbroken_limits_init(&limits, sizeof limits));
    limits.unacked_messages = 3;
    options asked = {&limits, 0, 0, NULL};
    begin(&w, asked);
    for (uint64_t n = 0; n < 3; n++) {
        OK(unbroken_session_send(w.session, message, fill_message(message, n, 64), NULL));
    }
    /* F-56 */
    STATUS(unbroken_session_send(w.session, message, 1, NULL), UNBROKEN_ERR_WOULD_BLOCK);
    check_text("would block");
    int64_t number;
    const uint8_t *data;
    size_t length;
    for (int i = 0; i < 60; i++) {
        CHECK(unbroken_loopback_step(w.loopback, w.now) >= 0);
        session_events(&w);
        while (unbroken_endpoint_session_recv(w.endpoint, w.id, &data, &length, &number) == UNBROKEN_OK) {
            CHECK(is_message(data, length, (uint64_t)number, 64));
        }
        w.now += 1000;
    }
    CHECK(w.writable >= 1);
    OK(unbroken_session_send(w.session, message, 1, NULL));
    STATUS(unbroken_session_send(w.session, message, (size_t)2 << 20, NULL), UNBROKEN_ERR_TOO_LARGE);
    check_text("over the limit of");
    end(&w);
}

static void given_up_and_retried(void) {
    world w;
    options asked = {NULL, 0, 0, NULL};
    begin(&w, asked);
    OK(unbroken_loopback_refuse(w.loopback, 1));
    OK(unbroken_loopback_cut(w.loopback, w.now));
    STATUS(unbroken_session_send_unreliable(w.session, (const uint8_t *)"pong", 4), UNBROKEN_ERR_NO_LINK);
    go(&w, 4000);
    CHECK(w.failed == 1 && w.reason == UNBROKEN_FAIL_GAVE_UP && w.closed == 0);
    CHECK(state_of(w.session) == UNBROKEN_STATE_NONE);
    OK(unbroken_loopback_refuse(w.loopback, 0));
    OK(unbroken_session_retry(w.session, w.now));
    settle(&w);

    uint64_t deadline = 0;
    CHECK(unbroken_session_poll_timeout(w.session, &deadline) >= 0 && deadline >= w.now - 1000);
    CHECK(unbroken_endpoint_poll_timeout(w.endpoint, &deadline) >= 0);
    OK(unbroken_session_handle_network(w.session, UNBROKEN_NETWORK_CHANGED, 3, w.now));
    go(&w, 50);
    OK(unbroken_session_handle_network(w.session, UNBROKEN_NETWORK_SUSPEND, 0, w.now));
    OK(unbroken_session_handle_network(w.session, UNBROKEN_NETWORK_WAKE, 0, w.now));
    go(&w, 50);
    uint8_t keys[32];
    uint32_t lives[1] = {60};
    constant_key(keys, 5);
    OK(unbroken_endpoint_announce_keys(w.endpoint, keys, lives, 1));
    OK(unbroken_endpoint_drain(w.endpoint, 1000, NULL, 0));
    settle(&w);
    go(&w, 50);
    settle(&w);
    CHECK(w.draining == 1 && state_of(w.session) == UNBROKEN_STATE_ESTABLISHED);
    /* Another's, which without a store is nowhere. */
    STATUS(unbroken_endpoint_kick(w.endpoint, keys, 8), UNBROKEN_EMPTY);
    OK(unbroken_endpoint_session_kick(w.endpoint, w.id, 9));
    go(&w, 50);
    CHECK(w.closed == 1 && w.reason == UNBROKEN_CLOSE_KICKED && w.code == 9);
    end(&w);
}

static void expired(void) {
    world w;
    options asked = {NULL, 0, 0, NULL};
    begin(&w, asked);
    OK(unbroken_loopback_cut(w.loopback, w.now));
    w.now += 40 * 1000000ull;
    OK(unbroken_endpoint_handle_timeout(w.endpoint, w.now));
    endpoint_events(&w);
    CHECK(w.server_closed == 1 && w.server_reason == UNBROKEN_CLOSE_EXPIRED);
    /* The client learns it when it comes back, by itself: the time in which nothing ran is no time of trying. Loopback, session and endpoint may be freed in
     * any order. */
    go(&w, 1100);
    CHECK(w.failed == 1 && w.closed == 1 && w.reason == UNBROKEN_CLOSE_EXPIRED);
    OK(unbroken_session_free(w.session));
    STATUS(unbroken_loopback_step(w.loopback, w.now), UNBROKEN_ERR_HANDLE);
    OK(unbroken_endpoint_free(w.endpoint));
    OK(unbroken_loopback_free(w.loopback));
}

static void refused(void) {
    world w;
    options asked = {NULL, 0, 1, NULL};
    begin(&w, asked);
    CHECK(w.turned_away == 1);
    CHECK(w.closed == 1 && w.reason == UNBROKEN_CLOSE_REFUSED && w.code == 77);
    CHECK(w.server_closed == 1 && w.server_reason == UNBROKEN_CLOSE_REFUSED && w.server_code == 77);
    end(&w);
}

static void resume_refused(void) {
    world w;
    options asked = {NULL, 1, 0, NULL};
    begin(&w, asked);
    w.asked.refuse = 1;
    OK(unbroken_loopback_cut(w.loopback, w.now));
    go(&w, 200);
    CHECK(w.closed == 1 && w.reason == UNBROKEN_CLOSE_REFUSED && w.code == 78);
    end(&w);
}

static void closed_by_the_server(void) {
    world w;
    options asked = {NULL, 0, 0, NULL};
    begin(&w, asked);
    OK(unbroken_endpoint_session_close(w.endpoint, w.id, 5));
    go(&w, 50);
    CHECK(w.closed == 1 && w.reason == UNBROKEN_CLOSE_PEER && w.code == 5);
    CHECK(w.server_closed == 1 && w.server_reason == UNBROKEN_CLOSE_LOCAL && w.server_code == 5);
    end(&w);
}

/* Where to dial, and on which network. */
static void targets(void) {
    world w;
    options asked = {NULL, 0, 0, "game-7.example:4433"};
    unbroken_output output;
    uint8_t buffer[UNBROKEN_MIN_BUFFER];
    begin(&w, asked);
    OK(unbroken_session_handle_network(w.session, UNBROKEN_NETWORK_CHANGED, 3, w.now));
    OK(unbroken_session_poll_output(w.session, buffer, sizeof buffer, w.now, &output));
    CHECK(output.kind == UNBROKEN_OUTPUT_OPEN_LINK && output.has_network == 1 && output.network == 3);
    CHECK(output.len == strlen(asked.address) && strcmp((const char *)buffer, asked.address) == 0);

    /* The flight on the new link leads to the endpoint that has the session. */
    uint8_t flight[4096], keys[64];
    uint32_t shard = 0;
    unbroken_server_config server;
    server_config(&server, keys);
    OK(unbroken_session_handle_link_up(w.session, output.link, w.now));
    OK(unbroken_session_poll_output(w.session, flight, sizeof flight, w.now, &output));
    CHECK(output.kind == UNBROKEN_OUTPUT_SEND && output.len > UNBROKEN_ROUTE_NEEDED);
    STATUS(unbroken_route(server.cluster_key, 4, flight, UNBROKEN_ROUTE_NEEDED - 1, &shard), UNBROKEN_EMPTY);
    OK(unbroken_route(server.cluster_key, 4, flight, UNBROKEN_ROUTE_NEEDED, &shard));
    CHECK(shard == 2);
    /* Also under a key that is no longer the first. */
    uint8_t both[64];
    constant_key(both, 4);
    memcpy(both + 32, server.cluster_key, 32);
    STATUS(unbroken_route_among(both, 2, 4, flight, UNBROKEN_ROUTE_NEEDED - 1, &shard), UNBROKEN_EMPTY);
    shard = 99;
    OK(unbroken_route_among(both, 1, 4, flight, UNBROKEN_ROUTE_NEEDED, &shard));
    CHECK(shard == UNBROKEN_ANY_SHARD);
    OK(unbroken_route_among(both, 2, 4, flight, UNBROKEN_ROUTE_NEEDED, &shard));
    CHECK(shard == 2);
    end(&w);
}

static unbroken_link_health health_of(unbroken_session *session) {
    unbroken_link_health health;
    memset(&health, 0xee, sizeof health);
    OK(unbroken_session_link_health(session, &health, sizeof health));
    CHECK(health.has_network == 1 || (health.has_network == 0 && health.network == 0));
    return health;
}

/* What carries the session, through all that can become of it. */
static void link_health(void) {
    world w;
    uint8_t buffer[65536];
    unbroken_output output;
    unbroken_session *young = make_session(0);
    CHECK(health_of(young).health == UNBROKEN_HEALTH_IDLE && health_of(young).has_network == 0);
    OK(unbroken_session_free(young));
    options asked = {NULL, 0, 0, NULL};
    begin(&w, asked);
    CHECK(health_of(w.session).health == UNBROKEN_HEALTH_SOUND && health_of(w.session).has_network == 0);

    OK(unbroken_session_handle_network(w.session, UNBROKEN_NETWORK_AVAILABLE, 7, w.now));
    go(&w, 50);
    CHECK(health_of(w.session).health == UNBROKEN_HEALTH_SOUND && health_of(w.session).network == 7);
    CHECK(health_of(w.session).has_network == 1);

    /* Nothing that it writes arrives. */
    OK(unbroken_session_send(w.session, buffer, 1, NULL));
    for (int i = 0; i < 4000 && health_of(w.session).health == UNBROKEN_HEALTH_SOUND; i++) {
        w.now += 1000;
        OK(unbroken_session_handle_timeout(w.session, w.now));
        while (unbroken_session_poll_output(w.session, buffer, sizeof buffer, w.now, &output) == UNBROKEN_OK) {
        }
    }
    CHECK(health_of(w.session).health == UNBROKEN_HEALTH_SUSPECT && health_of(w.session).network == 7);

    OK(unbroken_loopback_refuse(w.loopback, 1));
    OK(unbroken_loopback_cut(w.loopback, w.now));
    CHECK(health_of(w.session).health == UNBROKEN_HEALTH_LOST && health_of(w.session).has_network == 0);
    OK(unbroken_session_handle_network(w.session, UNBROKEN_NETWORK_SUSPEND, 0, w.now));
    CHECK(health_of(w.session).health == UNBROKEN_HEALTH_IDLE);
    end(&w);
}

int main(void) {
    CHECK(unbroken_abi_version() == UNBROKEN_ABI_VERSION);
    CHECK(strlen(unbroken_version()) >= 5);
    through_cuts();
    full_and_room_again();
    given_up_and_retried();
    expired();
    refused();
    resume_refused();
    closed_by_the_server();
    targets();
    link_health();
    passed("loopback");
    return 0;
}
