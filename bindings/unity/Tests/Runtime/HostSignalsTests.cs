using System.Collections.Generic;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>What the engine says, and what a session hears of it.</summary>
    [TestFixture]
    public class HostSignalsTests
    {
        private List<string> heard;
        private HostSignals signals;

        [SetUp]
        public void Listen()
        {
            heard = new List<string>();
            signals = new HostSignals((what, network) => heard.Add(what + " " + network));
        }

        [Test]
        public void A_pause_suspends_and_its_end_wakes_once()
        {
            signals.Paused(true);
            signals.Paused(true);
            signals.Focused(true);
            signals.Paused(false);
            CollectionAssert.AreEqual(new[] { "Suspend 0", "Wake 0" }, heard);
        }

        [Test]
        public void Focus_alone_means_nothing()
        {
            signals.Focused(false);
            signals.Focused(true);
            CollectionAssert.IsEmpty(heard);
        }

        [Test]
        public void Walking_out_of_the_Wi_Fi_opens_a_link_on_the_carrier_network()
        {
            signals.Frame(0, Reachability.LocalArea);
            signals.Frame(0.1, Reachability.LocalArea);
            signals.Frame(0.2, Reachability.Carrier);
            signals.Frame(0.3, Reachability.None);
            signals.Frame(0.4, Reachability.None);
            signals.Frame(0.5, Reachability.LocalArea);
            CollectionAssert.AreEqual(new[] { "Changed 1", "Lost 1", "Changed 2" }, heard);
        }

        [Test]
        public void Frames_that_stopped_for_long_are_a_wake()
        {
            signals.Frame(0, Reachability.LocalArea);
            signals.Frame(HostSignals.Slept, Reachability.LocalArea);
            CollectionAssert.IsEmpty(heard);
            signals.Frame(HostSignals.Slept * 2 + 1, Reachability.LocalArea);
            CollectionAssert.AreEqual(new[] { "Wake 0" }, heard);
        }

        [Test]
        public void The_time_of_a_pause_is_told_once()
        {
            signals.Frame(0, Reachability.LocalArea);
            signals.Paused(true);
            signals.Paused(false);
            signals.Frame(1000, Reachability.LocalArea);
            CollectionAssert.AreEqual(new[] { "Suspend 0", "Wake 0" }, heard);
        }
    }
}
