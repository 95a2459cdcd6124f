using System;
using System.Diagnostics;
using System.Net;
using System.Text;

namespace Unbroken.Tests
{
    /// <summary>Keys, settings and waiting, for all tests.</summary>
    public static class Ends
    {
        public const string Realm = "unity-tests";
        public static readonly byte[] Ticket = Bytes("let me in");

        public static byte[] Key(byte of)
        {
            var key = new byte[Keys.Length];
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = of;
            }
            return key;
        }

        public static byte[] Bytes(string text)
        {
            return Encoding.UTF8.GetBytes(text);
        }

        public static ClientSettings Client()
        {
            return new ClientSettings(Keys.PublicKey(Key(7))) { Realm = Realm, Credential = Ticket };
        }

        public static ServerSettings Server()
        {
            return new ServerSettings(Key(7), Key(9)) { Realm = Realm };
        }

        /// <summary>A server on loopback that lets in who has the ticket.</summary>
        public static UnbrokenServer Listen(ServerSettings settings = null)
        {
            var server = new UnbrokenServer(settings ?? Server(), new IPEndPoint(IPAddress.Loopback, 0));
            server.Authorise = (peer, credential) => Encoding.UTF8.GetString(credential) == "let me in"
                ? Verdict.Accept(Bytes("welcome"))
                : Verdict.Refuse(7, Bytes("who are you?"));
            return server;
        }

        public static UnbrokenClient Connect(UnbrokenServer server, ClientSettings settings = null)
        {
            return new UnbrokenClient("127.0.0.1", server.Address.Port, settings ?? Client());
        }

        /// <summary>Pumps all that is given until the condition holds. False after so many seconds.</summary>
        public static bool Until(Func<bool> condition, int seconds, params Action[] pumps)
        {
            var time = Stopwatch.StartNew();
            while (!condition())
            {
                if (time.Elapsed.TotalSeconds > seconds)
                {
                    return false;
                }
                foreach (Action pump in pumps)
                {
                    pump();
                }
                System.Threading.Thread.Sleep(1);
            }
            return true;
        }

        /// <summary>Message n of a stream: its number, then bytes that follow from it; lengths differ.</summary>
        public static int Fill(byte[] message, ulong number)
        {
            int length = 8 + (int)(number * 7919 % 300);
            for (int i = 0; i < 8; i++)
            {
                message[i] = (byte)(number >> (8 * i));
            }
            for (int i = 8; i < length; i++)
            {
                message[i] = (byte)(number + (ulong)(i - 8));
            }
            return length;
        }

        public static bool Is(ReadOnlySpan<byte> message, ulong number, byte[] scratch)
        {
            return message.SequenceEqual(new ReadOnlySpan<byte>(scratch, 0, Fill(scratch, number)));
        }
    }
}
