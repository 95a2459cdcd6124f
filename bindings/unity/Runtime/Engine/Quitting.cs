using UnityEngine;

namespace Unbroken
{
    /// <summary>Clients and servers that no behaviour owns end with the game, and do not live on from one run in the editor to the next.</summary>
    internal static class Quitting
    {
        [RuntimeInitializeOnLoadMethod(RuntimeInitializeLoadType.SubsystemRegistration)]
        private static void Begin()
        {
            LiveObjects.DisposeAll();
            Application.quitting -= LiveObjects.DisposeAll;
            Application.quitting += LiveObjects.DisposeAll;
        }
    }
}
