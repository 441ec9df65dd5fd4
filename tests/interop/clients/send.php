<?php
// `php send.php curl|streams URL (TOKEN FILE close|keep)…` posts files and prints the status of each answer.
[$library, $url] = array_slice($argv, 1, 2);
foreach (array_chunk(array_slice($argv, 3), 3) as [$token, $file, $closing]) {
    $headers = ['Content-Type: application/json', "Authorization: Bearer $token"];
    if ($closing === 'close') {
        $headers[] = 'Connection: close';
    }
    $body = file_get_contents($file);
    if ($library === 'curl') {
        $handle = curl_init($url);
        $options = [CURLOPT_POSTFIELDS => $body, CURLOPT_HTTPHEADER => $headers, CURLOPT_RETURNTRANSFER => true];
        curl_setopt_array($handle, $options);
        curl_exec($handle);
        echo curl_getinfo($handle, CURLINFO_RESPONSE_CODE), "\n";
    } else {
        $options = ['method' => 'POST', 'header' => $headers, 'content' => $body, 'ignore_errors' => true];
        file_get_contents($url, false, stream_context_create(['http' => $options]));
        echo explode(' ', $http_response_header[0])[1], "\n";
    }
}
