// An echo server in C++17: the endpoint over non-blocking POSIX sockets and poll(). `tcp` is its client.
//
// The first line on standard output is its port. It ends when its standard input closes, and says what it counted.
#include "check.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <set>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

struct Freer {
    void operator()(unbroken_endpoint *endpoint) const { OK(unbroken_endpoint_free(endpoint)); }
};
using Endpoint = std::unique_ptr<unbroken_endpoint, Freer>;
using Id = std::array<std::uint8_t, 16>;

std::uint64_t now_us() {
    using namespace std::chrono;
    return static_cast<std::uint64_t>(duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count());
}

// A file descriptor that is closed when it goes.
class Socket {
public:
    explicit Socket(int fd) : fd_(fd) { CHECK(fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0); }
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;
    ~Socket() { close(fd_); }
    int fd() const { return fd_; }

private:
    int fd_;
};

struct Link {
    std::unique_ptr<Socket> socket;
    std::vector<std::uint8_t> waiting;
    bool closing = false;
};

class Server {
public:
    Server() : endpoint_(make_endpoint(now_us())), listener_(socket(AF_INET, SOCK_STREAM, 0)), buffer_(65536) {
        sockaddr_in address{};
        socklen_t length = sizeof address;
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto *plain = reinterpret_cast<sockaddr *>(&address);
        CHECK(bind(listener_.fd(), plain, length) == 0 && listen(listener_.fd(), 16) == 0);
        CHECK(getsockname(listener_.fd(), plain, &length) == 0);
        printf("%d\n", static_cast<int>(ntohs(address.sin_port)));
        fflush(stdout);
    }

    void run() {
        while (wait()) {
            events();
            echo();
            outputs();
        }
        unbroken_counters counters{};
        OK(unbroken_endpoint_counters(endpoint_.get(), &counters, sizeof counters));
        printf("server: %" PRIu64 " sessions, %" PRIu64 " resumes, %" PRIu64 " messages echoed\n", counters.sessions_opened,
                    counters.resumes, counters.sent_messages);
        CHECK(counters.sessions_opened == 1 && counters.bad_records == 0 && counters.resumes_forged == 0);
        passed("server");
    }

private:
    // False once standard input is closed.
    bool wait() {
        std::vector<pollfd> polled{{STDIN_FILENO, POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
        std::vector<std::uint64_t> whose;
        for (const auto &[link, state] : links_) {
            const auto interest = state.waiting.empty() ? POLLIN : POLLIN | POLLOUT;
            polled.push_back({state.socket->fd(), static_cast<short>(interest), 0});
            whose.push_back(link);
        }
        std::uint64_t deadline = 0;
        CHECK(unbroken_endpoint_poll_timeout(endpoint_.get(), &deadline) >= 0);
        const auto now = now_us();
        const auto pause = deadline < now ? 0 : std::min<std::uint64_t>((deadline - now + 999) / 1000, 1000);
        CHECK(poll(polled.data(), polled.size(), static_cast<int>(pause)) >= 0 || errno == EINTR);
        if (polled[0].revents != 0) {
            return false;
        }
        if (polled[1].revents != 0) {
            accept_all();
        }
        for (std::size_t i = 0; i < whose.size(); i++) {
            ready(whose[i], polled[i + 2].revents);
        }
        OK(unbroken_endpoint_handle_timeout(endpoint_.get(), now_us()));
        return true;
    }

    void accept_all() {
        for (int fd; (fd = accept(listener_.fd(), nullptr, nullptr)) >= 0;) {
            const int one = 1;
            CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
            links_[next_].socket = std::make_unique<Socket>(fd);
            OK(unbroken_endpoint_handle_link_up(endpoint_.get(), next_++, now_us()));
        }
    }

    void ready(std::uint64_t link, int what) {
        if ((what & POLLOUT) != 0) {
            flush(link, true);
        }
        const auto found = links_.find(link);
        if (found == links_.end() || (what & (POLLIN | POLLERR | POLLHUP)) == 0) {
            return;
        }
        const auto length = recv(found->second.socket->fd(), buffer_.data(), buffer_.size(), 0);
        if (length > 0) {
            OK(unbroken_endpoint_handle_input(endpoint_.get(), link, buffer_.data(), static_cast<std::size_t>(length), now_us()));
        } else if (length == 0 || (errno != EAGAIN && errno != EINTR)) {
            down(link);
        }
    }

    void down(std::uint64_t link) {
        links_.erase(link);
        OK(unbroken_endpoint_handle_link_down(endpoint_.get(), link, now_us()));
    }

    void flush(std::uint64_t link, bool was_blocked) {
        const auto found = links_.find(link);
        if (found == links_.end()) {
            return;
        }
        auto &[socket, waiting, closing] = found->second;
        while (!waiting.empty()) {
            const auto written = send(socket->fd(), waiting.data(), waiting.size(), MSG_NOSIGNAL);
            if (written < 0) {
                if (errno != EAGAIN && errno != EINTR) {
                    down(link);
                } else if (!was_blocked) {
                    OK(unbroken_endpoint_handle_link_blocked(endpoint_.get(), link));
                }
                return;
            }
            waiting.erase(waiting.begin(), waiting.begin() + written);
        }
        if (closing) {
            links_.erase(found);
        } else if (was_blocked) {
            OK(unbroken_endpoint_handle_link_writable(endpoint_.get(), link));
        }
    }

    void events() {
        unbroken_event event{};
        while (unbroken_endpoint_poll_event(endpoint_.get(), &event) == UNBROKEN_OK) {
            Id id{};
            memcpy(id.data(), event.session, id.size());
            switch (event.kind) {
            case UNBROKEN_EVENT_AUTHORISE:
                OK(unbroken_endpoint_session_authorise(endpoint_.get(), id.data(), 1, 0, nullptr, 0));
                break;
            case UNBROKEN_EVENT_READABLE:
            case UNBROKEN_EVENT_WRITABLE: readable_.insert(id); break;
            case UNBROKEN_EVENT_CLOSED: readable_.erase(id); break;
            default: break;
            }
        }
    }

    // Sends back what came, as far as there is room; the rest when there is.
    void echo() {
        for (auto id = readable_.begin(); id != readable_.end();) {
            id = echo(*id) ? readable_.erase(id) : std::next(id);
        }
    }

    bool echo(const Id &id) {
        for (;;) {
            auto &kept = kept_[id];
            if (kept.empty()) {
                const std::uint8_t *data = nullptr;
                std::size_t length = 0;
                const auto status = unbroken_endpoint_session_recv(endpoint_.get(), id.data(), &data, &length, nullptr);
                if (status != UNBROKEN_OK) {
                    CHECK(status == UNBROKEN_EMPTY || status == UNBROKEN_ERR_UNKNOWN_SESSION);
                    return true;
                }
                // It is lent until the next call with the endpoint.
                kept.assign(data, data + length);
            }
            const auto status = unbroken_endpoint_session_send(endpoint_.get(), id.data(), kept.data(), kept.size(), nullptr);
            if (status == UNBROKEN_ERR_WOULD_BLOCK) {
                return true;
            }
            CHECK(status == UNBROKEN_OK || status == UNBROKEN_ERR_CLOSED);
            kept.clear();
        }
    }

    void outputs() {
        unbroken_output output{};
        while (unbroken_endpoint_poll_output(endpoint_.get(), buffer_.data(), buffer_.size(), now_us(), &output) == UNBROKEN_OK) {
            const auto found = links_.find(output.link);
            if (found == links_.end()) {
                continue;
            }
            if (output.kind == UNBROKEN_OUTPUT_SEND) {
                found->second.waiting.assign(buffer_.data(), buffer_.data() + output.len);
            } else {
                CHECK(output.kind == UNBROKEN_OUTPUT_CLOSE_LINK);
                found->second.closing = true;
            }
            flush(output.link, false);
        }
    }

    Endpoint endpoint_;
    Socket listener_;
    std::vector<std::uint8_t> buffer_;
    std::map<std::uint64_t, Link> links_;
    std::uint64_t next_ = 0;
    std::set<Id> readable_;
    std::map<Id, std::vector<std::uint8_t>> kept_;
};

} // namespace

int main() {
    Server().run();
    return 0;
}
