// STUB. Not Apple's UIKit: the two names of it that the package uses. See Network.swift.

import Foundation

@MainActor
public class UIApplication {
    public nonisolated static let didEnterBackgroundNotification = Notification.Name("")
    public nonisolated static let willEnterForegroundNotification = Notification.Name("")
}
