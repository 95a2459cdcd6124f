import Unbroken
import XCTest

final class NetworkChoiceTests: XCTestCase {
    private let wifi: UInt64 = 1
    private let cellular: UInt64 = 2
    private var onWifi: LinkHealth { .sound(network: wifi) }
    private var onCellular: LinkHealth { .sound(network: cellular) }

    private func available(_ networks: UInt64...) -> [NetworkHint] { networks.map { .available(network: $0) } }
    private func changed(_ network: UInt64) -> [NetworkHint] { [.changed(network: network)] }

    /// Both are up, and the session is on Wi-Fi.
    private func begun() -> NetworkChoice {
        var choice = NetworkChoice()
        XCTAssertEqual(choice.up(wifi, rank: 2, now: 0), available(wifi))
        XCTAssertEqual(choice.up(cellular, rank: 1, now: 0), [])
        XCTAssertEqual(choice.health(onWifi, now: 0), [])
        return choice
    }

    func testALesserNetworkIsKeptBackUntilTheBetterOneIsLost() {
        var choice = begun()
        XCTAssertEqual(choice.changed(cellular), [])
        XCTAssertEqual(choice.lost(wifi, now: 1), [.lost(network: wifi), .available(network: cellular)])
        XCTAssertEqual(choice.changed(cellular), changed(cellular))
        XCTAssertEqual(choice.up(wifi, rank: 2, now: 2), available(wifi))
        XCTAssertEqual(choice.lost(cellular, now: 3), [.lost(network: cellular)])
    }

    func testASuspectLinkIsTroubleAndTheLesserNetworkIsToldOfBeneathTheBetterOne() {
        var choice = begun()
        XCTAssertEqual(choice.health(.suspect(network: wifi), now: 10), available(cellular, wifi))
        XCTAssertTrue(choice.needsSecond)
        XCTAssertEqual(choice.health(.lost, now: 20), [])
        XCTAssertEqual(choice.up(3, rank: 0, now: 30), available(3, wifi))
    }

    func testAHandoverForAnotherReasonIsNoneNorIsALinkThatIsBackWithinASecond() {
        var choice = begun()
        // On a hint, a drain, a wake-up the old link carries until the new one does.
        XCTAssertEqual(choice.health(onWifi, now: 10), [])
        // A server that was restarted.
        XCTAssertEqual(choice.health(.lost, now: 20), [])
        XCTAssertEqual(choice.due, 1020)
        XCTAssertEqual(choice.health(onWifi, now: 900), [])
        XCTAssertNil(choice.due)
        XCTAssertFalse(choice.needsSecond)
        XCTAssertEqual(choice.timePassed(2000), [])
    }

    func testNoLinkForASecondIsTrouble() {
        var choice = begun()
        XCTAssertEqual(choice.health(.lost, now: 20), [])
        XCTAssertEqual(choice.health(.lost, now: 500), [])
        XCTAssertEqual(choice.timePassed(1019), [])
        XCTAssertFalse(choice.needsSecond)
        XCTAssertEqual(choice.timePassed(1020), available(cellular, wifi))
        XCTAssertTrue(choice.needsSecond)
    }

    func testCarriedByTheLesserNetworkItAsksForTheBetterOneEverMoreRarelyAndGivesTheLesserOneBackWhenThatHasCarried() {
        var choice = begun()
        _ = choice.health(.suspect(network: wifi), now: 0)
        XCTAssertEqual(choice.health(onCellular, now: 1000), [])
        for (due, next) in [(31_000, 60_000), (91_000, 120_000), (211_000, 240_000)] as [(UInt64, UInt64)] {
            XCTAssertEqual(choice.due, due)
            XCTAssertEqual(choice.timePassed(due - 1), [])
            XCTAssertEqual(choice.timePassed(due), available(wifi))
            XCTAssertEqual(choice.due, due + next)
            XCTAssertTrue(choice.needsSecond)
        }
        XCTAssertEqual(choice.health(onWifi, now: 220_000), [])
        XCTAssertTrue(choice.needsSecond)
        XCTAssertEqual(choice.due, 460_000)
        XCTAssertEqual(choice.timePassed(460_000), [])
        XCTAssertFalse(choice.needsSecond)
        XCTAssertNil(choice.due)
        // It is trusted as at first.
        _ = choice.health(.suspect(network: wifi), now: 500_000)
        _ = choice.health(onCellular, now: 500_001)
        XCTAssertEqual(choice.due, 530_001)
    }

    func testABetterNetworkThatComesUpIsNotTrustedBeforeItCarries() {
        var choice = begun()
        _ = choice.lost(wifi, now: 10)
        _ = choice.health(onCellular, now: 20)
        XCTAssertFalse(choice.needsSecond)
        XCTAssertEqual(choice.up(wifi, rank: 2, now: 1000), available(wifi))
        XCTAssertTrue(choice.needsSecond)
        XCTAssertEqual(choice.timePassed(31_000), available(wifi))
        // It went away again: what carries is the best there is.
        XCTAssertEqual(choice.lost(wifi, now: 32_000), [.lost(network: wifi)])
        _ = choice.timePassed(choice.due ?? 0)
        XCTAssertFalse(choice.needsSecond)
        XCTAssertNil(choice.due)
    }

    func testAsleepNothingIsKeptUp() {
        var choice = begun()
        _ = choice.health(.suspect(network: wifi), now: 10)
        XCTAssertEqual(choice.health(.idle, now: 20), [])
        XCTAssertFalse(choice.needsSecond)
        XCTAssertNil(choice.due)
    }

    func testAChangeOfALesserNetworkDoesNotTakeTheSessionOffABetterOne() {
        var choice = begun()
        _ = choice.health(.suspect(network: wifi), now: 10)
        _ = choice.health(onWifi, now: 20)
        XCTAssertTrue(choice.needsSecond)
        XCTAssertEqual(choice.changed(cellular), [])
        _ = choice.timePassed(choice.due ?? 0)
        XCTAssertFalse(choice.needsSecond)
        XCTAssertEqual(choice.changed(cellular), [])
        // Nor while a server is restarted.
        _ = choice.health(.lost, now: 100_000)
        XCTAssertEqual(choice.changed(cellular), [])
        XCTAssertEqual(choice.changed(wifi), changed(wifi))
    }

    func testInTroubleALesserNetworkThatChangedStaysBeneathTheBetterOne() {
        var choice = begun()
        for health in [.suspect(network: wifi), .lost] as [LinkHealth] {
            _ = choice.health(health, now: 10)
            XCTAssertEqual(choice.changed(cellular), changed(cellular) + available(wifi))
            XCTAssertEqual(choice.changed(wifi), changed(wifi))
        }
    }

    func testTheNetworkThatCarriesTheSessionIsToldOfWhenItChangedAndTheBetterOneAskedAtItsTime() {
        var choice = begun()
        _ = choice.up(3, rank: 0, now: 0)
        _ = choice.health(.suspect(network: wifi), now: 0)
        _ = choice.health(onCellular, now: 1000)
        XCTAssertEqual(choice.changed(cellular), changed(cellular))
        XCTAssertEqual(choice.changed(3), [])
        XCTAssertEqual(choice.due, 31_000)
        XCTAssertEqual(choice.timePassed(31_000), available(wifi))
        XCTAssertEqual(choice.changed(wifi), changed(wifi))
        // It may be dead, but the link on it is not given up yet.
        _ = choice.health(.suspect(network: cellular), now: 40_000)
        XCTAssertEqual(choice.changed(cellular), changed(cellular) + available(wifi))
        // An equal that is not the newest.
        _ = choice.up(7, rank: 2, now: 50_000)
        _ = choice.health(onWifi, now: 50_001)
        XCTAssertEqual(choice.changed(wifi), changed(wifi))
    }

    func testTheBetterNetworkIsTheWantedOneAgainWhenItCarriesIfTheLesserOneHadChangedMeanwhile() {
        var choice = begun()
        _ = choice.health(.suspect(network: wifi), now: 0)
        _ = choice.health(onCellular, now: 1000)
        _ = choice.changed(cellular)
        XCTAssertEqual(choice.health(onCellular, now: 2000), [])
        XCTAssertEqual(choice.health(.suspect(network: cellular), now: 3000), [])
        XCTAssertEqual(choice.health(onWifi, now: 4000), available(wifi))
        XCTAssertEqual(choice.health(onWifi, now: 5000), [])
        // Asked at its time, it is wanted already.
        _ = choice.health(.suspect(network: wifi), now: 6000)
        _ = choice.health(onCellular, now: 7000)
        _ = choice.changed(cellular)
        XCTAssertEqual(choice.timePassed(choice.due ?? 0), available(wifi))
        XCTAssertEqual(choice.health(onWifi, now: 90_000), [])
    }

    func testAmongEqualsTheNewestIsWanted() {
        var choice = begun()
        XCTAssertEqual(choice.up(7, rank: 2, now: 1), available(7))
        _ = choice.health(.sound(network: 7), now: 2)
        XCTAssertEqual(choice.health(.suspect(network: 7), now: 3), available(cellular, 7))
    }

    func testWhatIsToldTwiceOrWasNeverUpChangesNothing() {
        var choice = NetworkChoice()
        _ = choice.up(wifi, rank: 2, now: 0)
        XCTAssertEqual(choice.up(wifi, rank: 2, now: 1), [])
        XCTAssertEqual(choice.lost(cellular, now: 2), [])
        XCTAssertEqual(choice.changed(cellular), [])
    }
}
