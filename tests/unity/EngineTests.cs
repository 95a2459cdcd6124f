using System;
using System.Reflection;
using System.Runtime.CompilerServices;
using NUnit.Framework;
using UnityEngine;

namespace Unbroken.Tests
{
    /// <summary>The UnityEngine layer over the stub of the engine: the messages that the engine would send are sent by hand.</summary>
    [TestFixture]
    public class EngineTests
    {
        private static void Send(object behaviour, string message, params object[] arguments)
        {
            MethodInfo method = behaviour.GetType().GetMethod(message, BindingFlags.Instance | BindingFlags.NonPublic);
            Assert.IsNotNull(method, message);
            method.Invoke(behaviour, arguments);
        }

        [Test]
        public void A_behaviour_pumps_pauses_and_ends_its_client()
        {
            using (UnbrokenServer server = Ends.Listen())
            {
                var behaviour = new UnbrokenBehaviour();
                Send(behaviour, "Update");
                int heard = 0, left = 0;
                server.Joined += peer => peer.TrySend(new byte[1]);
                server.Left += (peer, happened) => left++;
                Application.internetReachability = NetworkReachability.ReachableViaLocalAreaNetwork;
                behaviour.Connect("127.0.0.1", server.Address.Port, Ends.Client()).MessageReceived += (message, number) => heard++;
                Action frame = () => Send(behaviour, "Update");
                Assert.IsTrue(Ends.Until(() => heard == 1, 10, server.Pump, frame));
                Application.internetReachability = NetworkReachability.ReachableViaCarrierDataNetwork;
                Assert.IsTrue(Ends.Until(() => behaviour.Client.Stats.Links >= 2, 10, server.Pump, frame));
                Send(behaviour, "OnApplicationPause", true);
                behaviour.Client.CutLinks();
                ulong links = behaviour.Client.Stats.Links;
                Assert.IsFalse(Ends.Until(() => behaviour.Client.Stats.Links > links, 1, server.Pump));
                Send(behaviour, "OnApplicationPause", false);
                Assert.IsTrue(Ends.Until(() => behaviour.Client.Stats.Links > links, 10, server.Pump, frame));
                Send(behaviour, "OnApplicationQuit");
                Assert.IsNull(behaviour.Client);
                Assert.IsTrue(Ends.Until(() => left == 1, 10, server.Pump));
                Send(behaviour, "OnDestroy");
            }
            Assert.AreEqual(0, LiveObjects.Count);
        }

        [Test]
        public void A_behaviour_whose_client_was_disposed_elsewhere_is_at_peace()
        {
            using (UnbrokenServer server = Ends.Listen())
            {
                var behaviour = new UnbrokenBehaviour();
                Application.internetReachability = NetworkReachability.ReachableViaLocalAreaNetwork;
                UnbrokenClient client = behaviour.Connect("127.0.0.1", server.Address.Port, Ends.Client());
                Send(behaviour, "Update");
                client.Dispose();
                Application.internetReachability = NetworkReachability.ReachableViaCarrierDataNetwork;
                Send(behaviour, "Update");
                Send(behaviour, "OnApplicationPause", true);
                Send(behaviour, "OnApplicationPause", false);
                Send(behaviour, "OnApplicationPause", true);
                Send(behaviour, "OnApplicationFocus", true);
                Assert.Throws<ObjectDisposedException>(() => client.TrySend(new byte[1]));
                Send(behaviour, "OnApplicationQuit");
                Assert.IsNull(behaviour.Client);
                Send(behaviour, "OnDestroy");
            }
            Assert.AreEqual(0, LiveObjects.Count);
        }

        [Test]
        public void Quitting_ends_what_nobody_owns()
        {
            Type quitting = typeof(UnbrokenBehaviour).Assembly.GetType("Unbroken.Quitting", true);
            quitting.GetMethod("Begin", BindingFlags.Static | BindingFlags.NonPublic).Invoke(null, null);
            UnbrokenServer server = Ends.Listen();
            UnbrokenClient client = Ends.Connect(server);
            Assert.AreEqual(2, LiveObjects.Count);
            Application.StubQuit();
            Assert.AreEqual(0, LiveObjects.Count);
            Assert.Throws<ObjectDisposedException>(() => client.TrySend(new byte[1]));
        }

        [Test]
        public void Reloading_scripts_ends_all_threads_before()
        {
            Type reloading = Assembly.LoadFrom("Unbroken.Editor.dll").GetType("Unbroken.Editor.Reloading", true);
            RuntimeHelpers.RunClassConstructor(reloading.TypeHandle);
            foreach (Action end in new Action[]
            {
                UnityEditor.AssemblyReloadEvents.StubReload,
                () => UnityEditor.EditorApplication.StubChange(UnityEditor.PlayModeStateChange.EnteredEditMode),
            })
            {
                Ends.Connect(Ends.Listen());
                Assert.AreEqual(2, LiveObjects.Count);
                end();
                Assert.AreEqual(0, LiveObjects.Count);
            }
        }
    }
}
