import java.io.IOException;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;

/** {@code java Send.java LIBRARY URL (TOKEN FILE close|keep)…} posts files and prints the status of each answer. */
public class Send {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int at = 2; at < given.length; at += 3) {
            URI url = URI.create(given[1]);
            Path file = Path.of(given[at + 1]);
            boolean closing = given[at + 2].equals("close");
            System.out.println(given[0].equals("HttpClient")
                ? withClient(client, url, given[at], file, closing)
                : withConnection(url, given[at], file, closing));
        }
    }

    private static int withClient(HttpClient client, URI url, String token, Path file, boolean closing)
            throws Exception {
        // By default it offers `Upgrade: h2c` with every request over plain HTTP.
        HttpRequest.Builder request = HttpRequest.newBuilder(url)
            .header("Content-Type", "application/json")
            .header("Authorization", "Bearer " + token)
            .POST(HttpRequest.BodyPublishers.ofFile(file));
        if (closing) {
            request.header("Connection", "close").version(HttpClient.Version.HTTP_1_1);
        }
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode();
    }

    private static int withConnection(URI url, String token, Path file, boolean closing) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) url.toURL().openConnection();
        connection.setRequestMethod("POST");
        connection.setDoOutput(true);
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setRequestProperty("Authorization", "Bearer " + token);
        if (closing) {
            connection.setRequestProperty("Connection", "close");
        }
        byte[] body = Files.readAllBytes(file);
        connection.setFixedLengthStreamingMode(body.length);
        try {
            connection.getOutputStream().write(body);
        } catch (IOException refused) {
            // The status says why.
        }
        return connection.getResponseCode();
    }
}
