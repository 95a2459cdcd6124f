#if canImport(Network)
import Foundation
#if canImport(UIKit) && !os(watchOS)
import UIKit
#endif

extension UnbrokenClient {
    /// As `connect`, with what a phone needs attached until the session ends: it follows the device from network to network, and sleeps when the
    /// app does.
    ///
    /// - Parameters:
    ///   - sleepsInBackground: suspend the session while the app is in the background; iOS ends its sockets there anyway. False for apps that may
    ///     run on.
    ///   - connectTimeout: seconds for one connection, as in `connect`
    public static func connectOnDevice(
        to address: String, config: ClientConfig, sleepsInBackground: Bool = true, connectTimeout: TimeInterval = 5
    ) async throws -> UnbrokenClient {
        #if canImport(UIKit) && !os(watchOS)
        let lifecycle: (any Lifecycle)? = sleepsInBackground ? await AppLifecycle() : nil
        #else
        let lifecycle: (any Lifecycle)? = nil
        #endif
        let client = try await connect(
            to: address, config: config, transport: NetworkTransport(), connectTimeout: connectTimeout, following: lifecycle
        )
        let paths = NetworkPaths { client.hint($0) }
        Task {
            paths.start()
            // Ends with the session.
            for await health in await client.linkHealth { paths.health(health) }
            paths.cancel()
            await lifecycle?.cancel()
        }
        return client
    }
}

#if canImport(UIKit) && !os(watchOS)
/// Suspends a session when the app enters the background, and wakes it when it comes back.
@MainActor
final class AppLifecycle: Lifecycle {
    private var observers: [any NSObjectProtocol] = []

    func start(_ report: @escaping @Sendable (NetworkHint) -> Void) {
        let center = NotificationCenter.default
        observers = [
            center.addObserver(forName: UIApplication.didEnterBackgroundNotification, object: nil, queue: nil) { _ in report(.suspend) },
            center.addObserver(forName: UIApplication.willEnterForegroundNotification, object: nil, queue: nil) { _ in report(.wake) },
        ]
    }

    func cancel() {
        observers.forEach(NotificationCenter.default.removeObserver)
        observers = []
    }
}
#endif
#endif
