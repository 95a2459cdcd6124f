using System.Net;
using UnityEngine;

namespace Unbroken.Toy
{
    /// <summary>Draws the toy and takes the mouse. The first one to start is the server, too; others join it by its address.</summary>
    [RequireComponent(typeof(UnbrokenBehaviour))]
    public sealed class ToyScene : MonoBehaviour
    {
        private const int Port = 7777;
        private const float Side = 400, Left = 20, Top = 60, Dot = 20, GraphHeight = 80;

        private string host = "127.0.0.1";
        private ToyServer server;
        private ToyGame game;

        private void Start()
        {
            Application.runInBackground = true;
        }

        private void Update()
        {
            if (server != null)
            {
                server.Pump();
            }
            if (game != null)
            {
                game.Frame();
            }
        }

        private void OnDestroy()
        {
            if (server != null)
            {
                server.Dispose();
            }
        }

        private void OnGUI()
        {
            if (game == null)
            {
                Menu();
                return;
            }
            GUI.Label(new Rect(Left, 10, Side, 20), game.News);
            if (GUI.Button(new Rect(Left, 30, 120, 24), "Cut my link"))
            {
                game.CutMyLink();
            }
            Field();
            Graph();
        }

        private void Menu()
        {
            if (GUI.Button(new Rect(Left, 20, 120, 30), "Host"))
            {
                server = new ToyServer(new IPEndPoint(IPAddress.Any, Port));
                Join("127.0.0.1");
            }
            host = GUI.TextField(new Rect(Left, 60, 200, 30), host);
            if (GUI.Button(new Rect(Left + 210, 60, 120, 30), "Join"))
            {
                Join(host);
            }
        }

        private void Join(string to)
        {
            var settings = new ClientSettings(ToyServer.PublicKey) { Realm = "toy" };
            game = new ToyGame(GetComponent<UnbrokenBehaviour>().Connect(to, Port, settings), () => Time.realtimeSinceStartup);
        }

        private void Field()
        {
            var field = new Rect(Left, Top, Side, Side);
            GUI.Box(field, "");
            foreach (Word player in game.Players)
            {
                GUI.color = player.Player == game.Me ? Color.green : Color.white;
                GUI.Box(new Rect(Left + (float)player.X * (Side - Dot), Top + (float)player.Y * (Side - Dot), Dot, Dot), "" + player.Player);
            }
            GUI.color = Color.white;
            Event mouse = Event.current;
            if ((mouse.type == EventType.MouseDown || mouse.type == EventType.MouseDrag) && field.Contains(mouse.mousePosition))
            {
                game.MoveTo((mouse.mousePosition.x - Left) / Side, (mouse.mousePosition.y - Top) / Side);
            }
        }

        /// <summary>One bar for each round trip; a handover is a peak, not a gap.</summary>
        private void Graph()
        {
            float bottom = Top + Side + 20 + GraphHeight;
            float highest = Mathf.Max(0.05f, (float)game.Latency.Max);
            GUI.Label(new Rect(Left, Top + Side, Side, 20), "round trip, at most " + (int)(highest * 1000) + " ms");
            for (int i = 0; i < game.Latency.Count; i++)
            {
                float height = (float)game.Latency[i] / highest * GraphHeight;
                GUI.DrawTexture(new Rect(Left + i * 2, bottom - height, 2, height), Texture2D.whiteTexture);
            }
        }
    }
}
