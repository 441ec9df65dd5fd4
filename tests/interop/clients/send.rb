# `ruby send.rb net_http URL (TOKEN FILE close|keep)…` posts files and prints the status of each answer.
require 'net/http'

_library, url, *given = ARGV
uri = URI(url)
given.each_slice(3) do |token, file, closing|
  request = Net::HTTP::Post.new(uri, 'Content-Type' => 'application/json', 'Authorization' => "Bearer #{token}")
  request['Connection'] = 'close' if closing == 'close'
  request.body = File.binread(file)
  puts Net::HTTP.start(uri.host, uri.port, nil) { |http| http.request(request).code }
end
