using System;
using System.Collections.Generic;

namespace Unbroken
{
    /// <summary>All clients, servers and stores that have background threads. The Unity layer disposes them when the game quits, when play mode ends and
    /// before scripts are reloaded: threads must not outlive the code that they run.</summary>
    public static class LiveObjects
    {
        private static readonly List<IDisposable> All = new List<IDisposable>();

        /// <summary>How many there are.</summary>
        public static int Count
        {
            get { lock (All) { return All.Count; } }
        }

        /// <summary>Disposes all of them, the latest first: a server before its store.</summary>
        public static void DisposeAll()
        {
            IDisposable[] found;
            lock (All)
            {
                found = new IDisposable[All.Count];
                All.CopyTo(found);
            }
            for (int i = found.Length - 1; i >= 0; i--)
            {
                found[i].Dispose();
            }
        }

        internal static void Add(IDisposable one)
        {
            lock (All)
            {
                All.Add(one);
            }
        }

        internal static void Remove(IDisposable one)
        {
            lock (All)
            {
                All.Remove(one);
            }
        }
    }
}
