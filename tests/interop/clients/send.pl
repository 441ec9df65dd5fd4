# `perl send.pl HTTP::Tiny|LWP URL (TOKEN FILE close|keep)…` posts files and prints the status of each answer.
use strict;
use warnings;

my ($library, $url, @given) = @ARGV;
while (my ($token, $file, $closing) = splice @given, 0, 3) {
    open my $handle, '<:raw', $file or die $!;
    my $body = do { local $/; <$handle> };
    my %headers = ('Content-Type' => 'application/json', 'Authorization' => "Bearer $token");
    if ($library eq 'LWP') {
        require LWP::UserAgent;
        my $agent = LWP::UserAgent->new(keep_alive => $closing eq 'close' ? 0 : 1);
        print $agent->post($url, %headers, Content => $body)->code, "\n";
    } else {
        require HTTP::Tiny;
        my $agent = HTTP::Tiny->new(keep_alive => $closing ne 'close');
        print $agent->post($url, { headers => \%headers, content => $body })->{status}, "\n";
    }
}
