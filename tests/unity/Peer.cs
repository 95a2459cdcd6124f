using System;
using System.Diagnostics;
using System.IO;

namespace Unbroken.Tests
{
    /// <summary>The Rust program at the other end; UNBROKEN_PEER says where it is.</summary>
    public sealed class Peer : IDisposable
    {
        private readonly Process process;

        /// <summary>The port of a server's proxy.</summary>
        public readonly int Port;

        public Peer(string arguments)
        {
            process = Process.Start(new ProcessStartInfo(Environment.GetEnvironmentVariable("UNBROKEN_PEER"), arguments)
            {
                UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true,
            });
            if (arguments.StartsWith("server"))
            {
                Port = int.Parse(process.StandardOutput.ReadLine());
            }
        }

        public static Peer Server(string options)
        {
            return new Peer("server " + options);
        }

        public UnbrokenClient Connect(ClientSettings settings = null)
        {
            return new UnbrokenClient("127.0.0.1", Port, settings ?? Ends.Client());
        }

        /// <summary>Gives a command to the server. How many links its proxy has ended so far.</summary>
        public int Tell(string command)
        {
            process.StandardInput.WriteLine(command);
            process.StandardInput.Flush();
            return int.Parse(process.StandardOutput.ReadLine());
        }

        public bool HasEnded { get { return process.HasExited; } }

        public int ExitCode { get { return process.ExitCode; } }

        public string Line()
        {
            return process.StandardOutput.ReadLine();
        }

        public string Rest()
        {
            return process.StandardOutput.ReadToEnd();
        }

        public void Dispose()
        {
            try
            {
                process.StandardInput.Close();
                if (!process.WaitForExit(5000))
                {
                    process.Kill();
                }
            }
            catch (IOException)
            {
                // It has ended already.
            }
            process.Dispose();
        }
    }
}
