fn main(){println!("handover");}
