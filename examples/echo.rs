fn main(){println!("echo");}
