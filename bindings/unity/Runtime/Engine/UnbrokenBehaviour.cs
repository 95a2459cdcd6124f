using System;
using UnityEngine;

namespace Unbroken
{
    /// <summary>
    /// Puts an <see cref="UnbrokenClient"/> into a scene: pumps it in each frame, so that events and messages come on the main thread, tells it of
    /// pause, focus and reachability, and disposes it with the object, as at a change of scene: if the session is to outlive that, the object must
    /// (DontDestroyOnLoad). When the game quits it says farewell. Everything else is the client's.
    /// </summary>
    [AddComponentMenu("Network/Unbroken Client")]
    [DisallowMultipleComponent]
    [DefaultExecutionOrder(-100)]
    public class UnbrokenBehaviour : MonoBehaviour
    {
        private UnbrokenClient client;
        private HostSignals signals;

        /// <summary>The client; null before <see cref="Connect"/>.</summary>
        public UnbrokenClient Client { get { return client; } }

        /// <summary>Begins a session; one that was there is dropped. Subscribe to the result's events at once: they come from the next frame
        /// on. Parameters and exceptions are those of <see cref="UnbrokenClient"/>.</summary>
        public UnbrokenClient Connect(string host, int port, ClientSettings settings)
        {
            Drop();
            client = new UnbrokenClient(host, port, settings);
            signals = new HostSignals(Report);
            return client;
        }

        /// <summary>Ends the session's threads and connections. To say farewell, call <see cref="UnbrokenClient.Disconnect"/> before.</summary>
        public void Drop()
        {
            if (client != null)
            {
                client.Dispose();
                client = null;
                signals = null;
            }
        }

        private void Report(NetworkEvent what, ulong network)
        {
            try
            {
                client.ReportNetwork(what, network);
            }
            catch (ObjectDisposedException)
            {
                // Elsewhere: the client is everybody's.
            }
        }

        private void Update()
        {
            if (client != null)
            {
                // By the wall clock: the engine's stands still on some systems while they sleep.
                signals.Frame(DateTime.UtcNow.Ticks * 1e-7, (Reachability)(int)Application.internetReachability);
                client.Pump();
            }
        }

        private void OnApplicationPause(bool paused)
        {
            if (signals != null)
            {
                signals.Paused(paused);
            }
        }

        private void OnApplicationFocus(bool focused)
        {
            if (signals != null)
            {
                signals.Focused(focused);
            }
        }

        private void OnApplicationQuit()
        {
            try
            {
                if (client != null && client.State != SessionState.Closed)
                {
                    client.Disconnect(0);
                }
            }
            catch (ObjectDisposedException)
            {
                // As above.
            }
            Drop();
        }

        private void OnDestroy()
        {
            Drop();
        }
    }
}
