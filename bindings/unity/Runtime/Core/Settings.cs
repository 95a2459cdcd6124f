using System;
using System.Collections.Generic;
using System.Net;
using System.Text;

namespace Unbroken
{
    /// <summary>What a client must know, and may choose.</summary>
    public sealed class ClientSettings
    {
        /// <summary>The server keys that are trusted, 32 bytes each: 1 to 8. The first is tried first.</summary>
        public IList<byte[]> ServerKeys = new List<byte[]>();
        /// <summary>The service's name, at most 255 bytes of UTF-8; both ends must have the same.</summary>
        public string Realm = "";
        /// <summary>What the server judges, at most 8192 bytes: a ticket, a token. It travels encrypted.</summary>
        public byte[] Credential = new byte[0];
        /// <summary>Bounds on memory and work; null for the defaults. To change one, begin with <see cref="Unbroken.Limits.Default"/>.</summary>
        public Limits? Limits;
        /// <summary>ACK and silence timing; null for the defaults.</summary>
        public Timing? Timing;
        /// <summary>How to dial again; null for the defaults.</summary>
        public Backoff? Backoff;

        /// <summary>How long the attempts of one connection may take together, name look-up included; default 5 s; above the handshake
        /// limit it has no effect. With <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> as long as the session waits for it.</summary>
        public TimeSpan ConnectTimeout = TimeSpan.FromSeconds(5);
        /// <summary>How many bytes the system may hold back for a connection; 0: what it thinks best. The less, the less is sent again after a cut,
        /// and the slower is a path with a long round trip.</summary>
        public int SendBuffer;
        /// <summary>Says which local address stands for a network that was reported with <see cref="UnbrokenClient.ReportNetwork"/>, so that
        /// a link can be bound to it, to those of the server's addresses that are of the same family, if there are any; null, or a null result, leaves the choice
        /// to the system. Called on a background thread.</summary>
        public Func<ulong, IPAddress> LocalAddressOf;

        /// <summary>A client that trusts one server key.</summary>
        public ClientSettings(byte[] serverKey)
        {
            ServerKeys.Add(serverKey);
        }
    }

    /// <summary>What a server must know, and may choose.</summary>
    public sealed class ServerSettings
    {
        /// <summary>The service's secret keys, 32 random bytes each: 1 to 8; more than one while keys are being changed. Clients pin
        /// <see cref="Keys.PublicKey"/> of them.</summary>
        public IList<byte[]> SecretKeys = new List<byte[]>();
        /// <summary>32 random bytes that the servers of a cluster share.</summary>
        public byte[] ClusterKey;
        /// <summary>Cluster keys that are understood besides <see cref="ClusterKey"/>, at most 7: what was made under them is still opened, while the key is
        /// being changed. Tell all servers of the next key here before any of them uses it as <see cref="ClusterKey"/>.</summary>
        public IList<byte[]> OlderClusterKeys = new List<byte[]>();
        /// <summary>The service's name, at most 255 bytes of UTF-8; both ends must have the same.</summary>
        public string Realm = "";
        /// <summary>Where this very process can be reached, `host:port`; empty: through the usual address.</summary>
        public string Address = "";
        /// <summary>Bounds on memory and work; null for the defaults.</summary>
        public Limits? Limits;
        /// <summary>ACK and silence timing; null for the defaults.</summary>
        public Timing? Timing;
        /// <summary>Let every client in without asking.</summary>
        public bool AuthoriseAll;
        /// <summary>Ask <see cref="UnbrokenServer.AuthoriseResume"/> on each resume, too.</summary>
        public bool AskOnResume;

        /// <summary>Where sessions are kept, so that they go on when the server is restarted; null: nowhere. It is not disposed with the server, and servers of
        /// one process may share it. The server that reads it must have the same <see cref="ClusterKey"/>, or that among its <see cref="OlderClusterKeys"/>.</summary>
        public FileStore Store;
        /// <summary>What the store is for; without one sessions end with the server.</summary>
        public Durability Durability = Durability.SwapOut;

        /// <summary>Connections at a time, each of which holds a thread: those over it are closed at once. Default 512.</summary>
        public int MaxConnections = 512;

        /// <summary>A server with one secret key.</summary>
        public ServerSettings(byte[] secretKey, byte[] clusterKey)
        {
            SecretKeys.Add(secretKey);
            ClusterKey = clusterKey;
        }
    }

    /// <summary>Random secrets, and the public keys that belong to them.</summary>
    public static class Keys
    {
        /// <summary>The length of every key, in bytes.</summary>
        public const int Length = 32;

        /// <summary>32 bytes from the system's random source: a secret key, or a cluster key.</summary>
        public static unsafe byte[] Random()
        {
            Native.Library.CompareVersions();
            var key = new byte[Length];
            fixed (byte* bytes = key)
            {
                UnbrokenException.Check(Native.Library.unbroken_random_seed(bytes));
            }
            return key;
        }

        /// <summary>The public key of a secret one: what clients ship with.</summary>
        public static unsafe byte[] PublicKey(byte[] secret)
        {
            Native.Library.CompareVersions();
            Require(secret, "secret");
            var key = new byte[Length];
            fixed (byte* from = secret, to = key)
            {
                UnbrokenException.Check(Native.Library.unbroken_public_key(from, to));
            }
            return key;
        }

        internal static void Require(byte[] key, string name)
        {
            if (key == null || key.Length != Length)
            {
                throw new ArgumentException("a key has " + Length + " bytes", name);
            }
        }

        /// <summary>All keys in one row, as the library takes them.</summary>
        internal static byte[] Row(IList<byte[]> keys, string name)
        {
            var row = new byte[keys.Count * Length];
            for (int i = 0; i < keys.Count; i++)
            {
                Require(keys[i], name);
                Buffer.BlockCopy(keys[i], 0, row, i * Length, Length);
            }
            return row;
        }

        /// <summary>A struct that was made by `new` has zeros where the defaults belong.</summary>
        internal static void RequireDefault(bool set, uint size, string name)
        {
            if (set && size == 0)
            {
                throw new UnbrokenException(Status.ErrConfig, name + " does not begin with " + name + ".Default: take that, and change what is to differ");
            }
        }

        internal static byte[] Utf8(string text)
        {
            return Encoding.UTF8.GetBytes(text ?? "");
        }
    }
}
