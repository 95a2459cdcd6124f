/* A client over real TCP: non-blocking POSIX sockets and poll(), against the tokio server behind the fault proxy. Every message
 * comes back once and in order, although the proxy breaks links as it likes and this program breaks some, too.
 *
 *     tcp PORT [MESSAGES] */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINKS = 8, BUFFER = 65536, MOST = 4000, OWN_CUTS = 10 };

/* One connection, and what its socket has not taken yet. */
typedef struct {
    int fd; /* -1: free */
    int connecting, closing;
    uint64_t link;
    size_t waiting, taken;
    uint8_t buffer[BUFFER];
} connection;

typedef struct {
    unbroken_session *session;
    struct sockaddr_in server;
    connection links[LINKS];
    uint8_t output[BUFFER], input[BUFFER];
    uint64_t sent, received, messages, begun;
    uint64_t own_cuts, handovers, closed, established;
    int32_t reason;
} host;

static uint64_t now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000u + (uint64_t)time.tv_nsec / 1000u;
}

static connection *find(host *h, uint64_t link) {
    for (int i = 0; i < LINKS; i++) {
        if (h->links[i].fd >= 0 && h->links[i].link == link) {
            return &h->links[i];
        }
    }
    return NULL;
}

static void drop(connection *c) {
    close(c->fd);
    c->fd = -1;
}

static void broken(host *h, connection *c) {
    int told = c->closing;
    drop(c);
    if (!told) {
        OK(unbroken_session_handle_link_down(h->session, c->link, now_us()));
    }
}

static void open_link(host *h, uint64_t link) {
    connection *c = NULL;
    for (int i = 0; i < LINKS && c == NULL; i++) {
        if (h->links[i].fd < 0) {
            c = &h->links[i];
        }
    }
    CHECK(c != NULL);
    int one = 1;
    memset(c, 0, offsetof(connection, buffer));
    c->link = link;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(c->fd >= 0 && fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0);
    CHECK(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    if (connect(c->fd, (const struct sockaddr *)&h->server, sizeof h->server) == 0) {
        OK(unbroken_session_handle_link_up(h->session, link, now_us()));
    } else if (errno == EINPROGRESS) {
        c->connecting = 1;
    } else {
        broken(h, c);
    }
}

/* Writes what waits; 0 if the connection is gone. */
static int flush(host *h, connection *c) {
    while (c->taken < c->waiting) {
        ssize_t written = send(c->fd, c->buffer + c->taken, c->waiting - c->taken, MSG_NOSIGNAL);
        if (written < 0 && (errno == EAGAIN || errno == EINTR)) {
            return 1;
        }
        if (written < 0) {
            broken(h, c);
            return 0;
        }
        c->taken += (size_t)written;
    }
    c->taken = c->waiting = 0;
    if (c->closing) {
        drop(c);
        return 0;
    }
    return 1;
}

static void outputs(host *h) {
    unbroken_output output;
    while (unbroken_session_poll_output(h->session, h->output, BUFFER, now_us(), &output) == UNBROKEN_OK) {
        connection *c = find(h, output.link);
        switch (output.kind) {
        case UNBROKEN_OUTPUT_OPEN_LINK: open_link(h, output.link); break;
        case UNBROKEN_OUTPUT_SEND:
            CHECK(c != NULL && c->waiting == 0);
            memcpy(c->buffer, h->output, (size_t)output.len);
            c->waiting = (size_t)output.len;
            if (flush(h, c) && c->waiting > 0) {
                OK(unbroken_session_handle_link_blocked(h->session, c->link));
            }
            break;
        case UNBROKEN_OUTPUT_CLOSE_LINK:
            if (c != NULL) {
                c->closing = 1;
                flush(h, c);
            }
            break;
        default: CHECK(0);
        }
    }
}

static void events(host *h) {
    unbroken_event event;
    while (unbroken_session_poll_event(h->session, &event) == UNBROKEN_OK) {
        if (event.kind == UNBROKEN_EVENT_HANDOVER_END) {
            h->handovers++;
        } else if (event.kind == UNBROKEN_EVENT_ESTABLISHED) {
            h->established = now_us();
        } else if (event.kind == UNBROKEN_EVENT_CLOSED) {
            h->closed++;
            h->reason = event.close;
        }
        CHECK(event.kind != UNBROKEN_EVENT_HANDOVER_FAILED);
    }
}

static void messages(host *h) {
    const uint8_t *data = NULL;
    size_t length = 0;
    int64_t id = 0;
    while (unbroken_session_recv(h->session, &data, &length, &id) == UNBROKEN_OK) {
        CHECK(id == (int64_t)h->received && is_message(data, length, h->received, MOST));
        h->received++;
    }
    /* One each millisecond: long enough for the proxy's faults to come. None before the session stands: until then a server that
     * never saw the client's keys proved may forget it, and with messages on the way the client could not start over. */
    uint64_t due = h->established == 0 ? 0 : (now_us() - h->established) / 1000;
    while (h->sent < h->messages && h->sent < due) {
        uint8_t message[MOST];
        int32_t status = unbroken_session_send(h->session, message, fill_message(message, h->sent, MOST), NULL);
        if (status == UNBROKEN_ERR_WOULD_BLOCK) {
            break;
        }
        OK(status);
        h->sent++;
    }
    /* This program's own cuts: spread over the run, hard. */
    if (h->own_cuts < OWN_CUTS && h->received > (h->own_cuts + 1) * h->messages / (OWN_CUTS + 1)) {
        for (int i = 0; i < LINKS; i++) {
            if (h->links[i].fd >= 0 && !h->links[i].connecting) {
                shutdown(h->links[i].fd, SHUT_RDWR);
                broken(h, &h->links[i]);
            }
        }
        h->own_cuts++;
    }
}

static void ready(host *h, connection *c, short what) {
    if (c->connecting) {
        int error = 0;
        socklen_t length = sizeof error;
        if (!(what & (POLLOUT | POLLERR | POLLHUP))) {
            return;
        }
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
            broken(h, c);
            return;
        }
        c->connecting = 0;
        OK(unbroken_session_handle_link_up(h->session, c->link, now_us()));
        return;
    }
    if ((what & POLLOUT) && c->waiting > 0) {
        if (!flush(h, c)) {
            return;
        }
        if (c->waiting == 0) {
            OK(unbroken_session_handle_link_writable(h->session, c->link));
        }
    }
    if (what & (POLLIN | POLLERR | POLLHUP)) {
        ssize_t length = recv(c->fd, h->input, BUFFER, 0);
        if (length > 0) {
            OK(unbroken_session_handle_input(h->session, c->link, h->input, (size_t)length, now_us()));
        } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
            broken(h, c);
        }
    }
}

static void wait_for_something(host *h) {
    struct pollfd polled[LINKS];
    connection *whose[LINKS];
    nfds_t count = 0;
    uint64_t deadline = 0, now = now_us(), wait = h->sent < h->messages ? 2000 : 1000000;
    for (int i = 0; i < LINKS; i++) {
        connection *c = &h->links[i];
        if (c->fd >= 0) {
            short interest = c->connecting || c->waiting > 0 ? POLLOUT : 0;
            polled[count].fd = c->fd;
            polled[count].events = (short)(interest | (c->connecting ? 0 : POLLIN));
            polled[count].revents = 0;
            whose[count++] = c;
        }
    }
    CHECK(unbroken_session_poll_timeout(h->session, &deadline) >= 0);
    if (deadline < now + wait) {
        wait = deadline > now ? deadline - now : 0;
    }
    CHECK(poll(polled, count, (int)((wait + 999) / 1000)) >= 0 || errno == EINTR);
    for (nfds_t i = 0; i < count; i++) {
        if (polled[i].revents != 0) {
            ready(h, whose[i], polled[i].revents);
        }
    }
    OK(unbroken_session_handle_timeout(h->session, now_us()));
}

int main(int count, char **arguments) {
    host *h = (host *)calloc(1, sizeof *h);
    CHECK(h != NULL && count >= 2);
    int left = 0;
    h->begun = now_us();
    h->messages = count > 2 ? (uint64_t)atoi(arguments[2]) : 2000;
    h->server.sin_family = AF_INET;
    h->server.sin_port = htons((uint16_t)atoi(arguments[1]));
    h->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < LINKS; i++) {
        h->links[i].fd = -1;
    }
    h->session = make_session(h->begun);
    while (h->closed == 0) {
        events(h);
        messages(h);
        if (h->received == h->messages && !left) {
            left = 1;
            OK(unbroken_session_disconnect(h->session, 0));
        }
        outputs(h);
        if (h->closed == 0) {
            wait_for_something(h);
        }
        events(h);
        CHECK(now_us() - h->begun < 120u * 1000000u);
    }
    CHECK(h->received == h->messages && h->reason == UNBROKEN_CLOSE_LOCAL);
    unbroken_stats stats;
    OK(unbroken_session_stats(h->session, &stats, sizeof stats));
    printf("tcp: %" PRIu64 " messages each way, %" PRIu64 " handovers, %" PRIu64 " links, %" PRIu64 " sent again\n", h->received,
           stats.handovers, stats.links, stats.replayed_messages);
    CHECK(stats.handovers == h->handovers);
    CHECK(stats.handovers >= OWN_CUTS / 2);
    for (int i = 0; i < LINKS; i++) {
        if (h->links[i].fd >= 0) {
            drop(&h->links[i]);
        }
    }
    OK(unbroken_session_free(h->session));
    free(h);
    passed("tcp");
    return 0;
}
