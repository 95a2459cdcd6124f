package dev.unbroken

import java.io.BufferedReader
import java.io.File
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.ServerSocket
import java.net.Socket
import java.nio.ByteBuffer
import java.nio.channels.SocketChannel

/** One connection to the test server's control port (tests/bindings/server), with a fault proxy of its own: [behind] says before what. */
class Control(behind: String = "proxy 1 0") : AutoCloseable {
    private val socket = Socket(InetAddress.getLoopbackAddress(), System.getenv("UNBROKEN_CONTROL").toInt())
    private val answers: BufferedReader = socket.getInputStream().bufferedReader()
    val address: String
    val port get() = address.substringAfterLast(':').toInt()

    init {
        socket.soTimeout = 120_000
        address = "127.0.0.1:" + ask(behind)
    }

    fun ask(command: String): String {
        socket.getOutputStream().write("$command\n".toByteArray())
        val answer = answers.readLine()
        check(answer != null && !answer.startsWith("error")) { "$command: $answer" }
        return answer
    }

    override fun close() = socket.close()
}

val PIN = "13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d".chunked(2).map { it.toInt(16).toByte() }.toByteArray()

/** The n-th message of a round; see tests/bindings/server/src/pour.rs. */
fun numbered(number: Int): ByteArray {
    val filler = (number * 7919L % 600).toInt()
    val message = ByteBuffer.allocate(8 + filler).putLong(number.toLong())
    for (i in 0 until filler) message.put((number * 31L + i).toByte())
    return message.array()
}

/** An address, 127.0.0.2, that takes no connections to [port] and does not say so: its queue is full. */
class BlackHole(private val port: Int) : AutoCloseable {
    private val here = InetAddress.getByName("127.0.0.2")
    private val listener = ServerSocket(port, 1, here)
    private val fillers = List(4) {
        SocketChannel.open().apply {
            configureBlocking(false)
            connect(InetSocketAddress(here, port))
        }
    }

    init {
        // Those that fit stand at once.
        check(fillers.any { !it.finishConnect() }) { "all connections were taken" }
    }

    val address = "${here.hostAddress}:$port"

    /** The ports from which connections are tried now, as Linux tells them: those whose first word went unanswered. */
    fun tries(): List<String> = listOf(File("/proc/net/tcp6"), File("/proc/net/tcp")).filter(File::exists).flatMap(File::readLines)
        .map { it.trim().split(' ').filter(String::isNotEmpty) }
        .filter { it[2].endsWith("0200007F:%04X".format(port)) && it[3] == "02" }
        .map { it[1] }

    /** A name with this address only. */
    val only = named(listOf(here))

    /** A name with this address first, and 127.0.0.1 behind it. */
    val first = named(listOf(here, InetAddress.getByName("127.0.0.1")))

    private fun named(addresses: List<InetAddress>) = object : NetworkBinding {
        override fun resolve(network: ULong?, host: String) = addresses
        override fun bind(network: ULong?, channel: SocketChannel) = Unit
    }

    override fun close() {
        fillers.forEach { it.close() }
        listener.close()
    }
}
